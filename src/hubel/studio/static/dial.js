// An angle as a hand on a dial: dragged, clicked or turned by the arrow keys. Fires 'input'.
const root = element.querySelector('.hb-dial');
let timer = null;

function show() {
  const angle = Number(props.value) || 0;
  root.querySelector('.hb-hand').setAttribute('transform', `rotate(${-angle} 50 50)`);
  root.querySelector('text').textContent = `${Math.round(angle)}°`;
  const knob = root.querySelector('[role=slider]');
  knob.setAttribute('aria-valuenow', Math.round(angle));
  knob.setAttribute('aria-valuetext', `${Math.round(angle)} degrees`);
}

function set(angle) {
  const next = ((Math.round(angle) % 360) + 360) % 360;
  if (next === Number(props.value)) return;
  props.value = next;
  if (!timer) timer = setTimeout(() => { timer = null; trigger('input'); }, 60);
}

function render() {
  root.innerHTML = `<svg viewBox="0 0 100 100" role="slider" tabindex="0" aria-label="angle of the edge, 90 is vertical"
    aria-valuemin="0" aria-valuemax="359"><circle cx="50" cy="50" r="45" class="hb-rim"/>
    ${[...Array(24)].map((_, i) => `<line x1="50" y1="${i % 6 ? 8.5 : 7}" x2="50" y2="${i % 6 ? 12 : 15}" transform="rotate(${15 * i} 50 50)" class="hb-tick"/>`).join('')}
    <g class="hb-hand"><line x1="14" y1="50" x2="86" y2="50" class="hb-edge"/><circle cx="86" cy="50" r="7" class="hb-knob"/></g>
    <rect x="32" y="39" width="36" height="22" rx="8" class="hb-plate"/><text x="50" y="55.5" text-anchor="middle"></text></svg>`;
  const svg = root.querySelector('svg');
  const turn = (event) => {
    const box = svg.getBoundingClientRect();
    const x = event.clientX - box.left - box.width / 2, y = box.top + box.height / 2 - event.clientY;
    if (Math.hypot(x, y) > 4) set(Math.atan2(y, x) * 180 / Math.PI);
  };
  svg.addEventListener('pointerdown', (event) => { svg.setPointerCapture(event.pointerId); turn(event); });
  svg.addEventListener('pointermove', (event) => { if (event.buttons) turn(event); });
  svg.addEventListener('keydown', (event) => {
    const step = { ArrowUp: 1, ArrowRight: -1, ArrowDown: -1, ArrowLeft: 1, PageUp: 15, PageDown: -15 }[event.key];
    if (!step) return;
    event.preventDefault();
    set(Number(props.value) + step);
  });
  show();
}
watch('value', () => { if (root.querySelector('svg')) show(); else render(); });
render();
