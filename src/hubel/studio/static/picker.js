// The pictures on the table as a row of thumbnails, and a place to drop one's own. Fires 'input' when another was chosen and
// 'drop_file' {name, data} with a data URL.
const root = element.querySelector('.hb-picker');
const MOST = 20 * 1024 * 1024;

function say(text) { root.querySelector('.hb-said').textContent = text; }

function take(file) {
  if (!file) return;
  if (file.size > MOST) { say(`${file.name} has ${(file.size / 1048576).toFixed(0)} MB: more than 20 are refused, make it smaller`); return; }
  const reader = new FileReader();
  reader.onload = () => { say(''); trigger('drop_file', { name: file.name, data: reader.result }); };
  reader.readAsDataURL(file);
}

function render() {
  const v = props.value;
  if (!v) return;
  const safe = (s) => s.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  const held = root.contains(document.activeElement) ? document.activeElement.value : null;
  root.innerHTML = `<div class="hb-thumbs" role="radiogroup" aria-label="${safe(v.label || 'picture')}">${v.choices.map((c) =>
    `<label class="hb-thumb${c.key === v.chosen ? ' hb-on' : ''}" title="${safe(c.name)}"><input type="radio" name="${safe(v.group)}" value="${safe(c.key)}"
      ${c.key === v.chosen ? 'checked' : ''} aria-label="${safe(c.name)}"><img alt="" src="${c.thumb}"></label>`).join('')}</div>
    ${v.own ? `<label class="hb-drop"><input type="file" accept="${v.accept || 'image/*'}" aria-label="your own file"><span><b>Your own</b> drop, paste or choose</span></label>` : ''}
    <p class="hb-said" role="status"></p>`;
  root.querySelectorAll('input[type=radio]').forEach((input) => {
    input.addEventListener('change', () => {
      props.value = { ...props.value, chosen: input.value };
      trigger('input');
    });
    if (input.value === held) input.focus();
  });
  const own = root.querySelector('input[type=file]');
  if (own) own.addEventListener('change', () => take(own.files[0]));
  const on = root.querySelector('.hb-on');
  if (on) on.parentElement.scrollTo({ left: on.offsetLeft - on.parentElement.clientWidth / 2 + 30 });
}

root.addEventListener('dragover', (event) => { event.preventDefault(); root.classList.add('hb-over'); });
root.addEventListener('dragleave', () => root.classList.remove('hb-over'));
root.addEventListener('drop', (event) => {
  event.preventDefault();
  root.classList.remove('hb-over');
  if (props.value.own) take(event.dataTransfer.files[0]);
});
document.addEventListener('paste', (event) => {
  if (props.value && props.value.own && root.offsetParent !== null && event.clipboardData.files.length) take(event.clipboardData.files[0]);
});
watch('value', render);
render();
