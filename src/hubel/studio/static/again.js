// How to see the same again: a link, a command line, Python; each can be copied. Keeps the address bar on the link.
const root = element.querySelector('.hb-again');
const safe = (s) => s.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function part(name, text) {
  return `<div class="hb-how"><div class="hb-how-head"><h3>${name}</h3><button type="button" data-copy="${safe(text)}">copy</button></div>
    <pre tabindex="0" aria-label="${name}"><code>${safe(text)}</code></pre></div>`;
}

function render() {
  const v = props.value;
  if (!v || (v.ahead && window.hubelSearch)) return;  // what came with the page is not what its link asks for
  const link = `${location.origin}${location.pathname}${v.link}`;
  const open = root.querySelector('details')?.open ? ' open' : '';
  root.innerHTML = `<details${open}><summary>See this again: link, command line, Python</summary>${part('Link', link)}${part('Command line', v.command)}${part('Python', v.python)}</details>`;
  window.hubelLinks = window.hubelLinks || {};
  window.hubelLinks[v.tab] = v.link;
  if (root.offsetParent !== null) history.replaceState(null, '', v.link);
}

root.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = 'copied';
  } catch {
    const range = document.createRange();
    range.selectNodeContents(button.closest('.hb-how').querySelector('code'));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = 'selected';
  }
  setTimeout(() => { button.textContent = 'copy'; }, 1500);
});
watch('value', render);
render();
