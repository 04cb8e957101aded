// A kernel as a grid of numbers, red adds, blue subtracts; every number can be changed. Fires 'input' when one was.
const root = element.querySelector('.hb-kernel');
let focused = null;

function colour(value, top) {
  const share = top > 0 ? Math.max(-1, Math.min(1, value / top)) : 0;
  const end = share > 0 ? [178, 24, 43] : [33, 102, 172];
  const part = Math.pow(Math.abs(share), 0.8);
  const mixed = end.map((c) => Math.round(255 + (c - 255) * part));
  return { background: `rgb(${mixed})`, ink: part > 0.55 ? '#fff' : '#1f2430' };
}

function text(value) {
  const rounded = Math.abs(value) < 1e-9 ? 0 : value;
  return String(Number(rounded.toPrecision(rounded && Math.abs(rounded) < 0.1 ? 2 : 3)));
}

function paint() {
  const cells = [...root.querySelectorAll('.hb-cell')];
  const values = props.value.rows.flat();
  const top = Math.max(...values.map(Math.abs), 1e-12);
  cells.forEach((cell, i) => {
    const c = colour(values[i], top);
    cell.style.background = c.background;
    cell.style.color = c.ink;
  });
}

function render() {
  const v = props.value;
  if (!v || !v.rows) return;
  const numbers = v.rows[0].length <= 9;
  root.style.gridTemplateColumns = `repeat(${v.rows[0].length}, minmax(0, 1fr))`;
  root.classList.toggle('hb-small', v.rows[0].length > 5);
  root.innerHTML = v.rows.map((row, r) => row.map((value, c) => numbers
    ? `<input class="hb-cell" inputmode="decimal" size="3" aria-label="weight in row ${r + 1}, column ${c + 1}" value="${text(value)}">`
    : `<span class="hb-cell" title="${text(value)}"></span>`).join('')).join('');
  paint();
  if (focused !== null && root.children[focused]) root.children[focused].focus();
}

root.addEventListener('focusin', (event) => { focused = [...root.children].indexOf(event.target); });
root.addEventListener('focusout', () => { setTimeout(() => { if (!root.contains(document.activeElement)) focused = null; }, 50); });
root.addEventListener('change', (event) => {
  const place = [...root.children].indexOf(event.target);
  const width = props.value.rows[0].length;
  const value = Number(event.target.value.replace(',', '.').replace('−', '-'));
  if (!Number.isFinite(value) || event.target.value.trim() === '') { render(); return; }
  const rows = props.value.rows.map((row) => [...row]);
  rows[Math.floor(place / width)][place % width] = value;
  props.value = { rows };
  trigger('input');
});
root.addEventListener('keydown', (event) => {
  const width = props.value.rows[0].length;
  const place = [...root.children].indexOf(event.target);
  const step = { ArrowUp: -width, ArrowDown: width, Enter: width }[event.key];
  if (step && root.children[place + step]) { event.preventDefault(); root.children[place + step].focus(); }
});
watch('value', render);
render();
