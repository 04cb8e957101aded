// Two pictures: what the kernel slides over, and its answer. The pointer, or the arrow keys, choose a pixel of the answer; the
// window it was made of is framed in the input. Fires 'select' {row, column}.
const root = element.querySelector('.hb-lens');
let at = [0, 0], waiting = null, sent = null;

function figure(which, title, src, size) {
  const pixelated = Math.max(...size) <= 160 ? ' hb-pixelated' : '';
  return `<figure><div class="hb-frame${pixelated}" data-which="${which}" ${which === 'output' ? 'tabindex="0" role="group"' : ''}
    aria-label="${which === 'output' ? 'The answer. Arrow keys choose the pixel that is explained.' : 'The input'}">
    <img alt="${title}" src="${src}" draggable="false"><span class="hb-window"></span></div>
    <figcaption>${title}</figcaption></figure>`;
}

function place(box, top, left, height, width, size) {
  box.style.top = `${100 * top / size[0]}%`;
  box.style.left = `${100 * left / size[1]}%`;
  box.style.height = `${100 * height / size[0]}%`;
  box.style.width = `${100 * width / size[1]}%`;
}

function frame() {
  const v = props.value;
  if (!v || !v.kernel) return;
  const [row, column] = at;
  place(root.querySelector('[data-which=input] .hb-window'), row * v.stride - Math.floor((v.kernel[0] - 1) / 2),
    column * v.stride - Math.floor((v.kernel[1] - 1) / 2), v.kernel[0], v.kernel[1], v.size_in);
  place(root.querySelector('[data-which=output] .hb-window'), row, column, 1, 1, v.size_out);
}

function choose(row, column) {
  const v = props.value;
  at = [Math.max(0, Math.min(v.size_out[0] - 1, row)), Math.max(0, Math.min(v.size_out[1] - 1, column))];
  frame();
  if (waiting) return;
  waiting = setTimeout(() => {
    waiting = null;
    if (sent !== String(at)) { sent = String(at); trigger('select', { row: at[0], column: at[1] }); }
  }, 70);
}

function render() {
  const v = props.value;
  if (!v || (v.ahead && window.hubelSearch)) return;  // what came with the page is not what its link asks for
  root.innerHTML = figure('input', v.title_in, v.input, v.size_in) + figure('output', v.title_out, v.output, v.size_out);
  at = v.at || [0, 0];
  sent = String(at);
  const explained = Boolean(v.kernel);
  root.classList.toggle('hb-explained', explained);
  frame();
  if (!explained) return;
  for (const part of root.querySelectorAll('.hb-frame')) {
    const scale = part.dataset.which === 'input' ? v.stride : 1;
    const size = part.dataset.which === 'input' ? v.size_in : v.size_out;
    const follow = (event) => {
      const box = part.getBoundingClientRect();
      choose(Math.floor((event.clientY - box.top) / box.height * size[0] / scale),
        Math.floor((event.clientX - box.left) / box.width * size[1] / scale));
    };
    part.addEventListener('pointermove', follow);
    part.addEventListener('pointerdown', follow);
    part.addEventListener('keydown', (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const far = event.shiftKey ? 10 : 1;
      choose(at[0] + far * step[0], at[1] + far * step[1]);
    });
  }
}
watch('value', render);
render();
