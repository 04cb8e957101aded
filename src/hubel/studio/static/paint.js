// A picture, or white paper, to paint on with finger, pen or mouse. Fires 'input' after each stroke: props.value.strokes holds
// a data URL of what was painted, white on black, in the picture's size.
const root = element.querySelector('.hb-paint');
let drawing = false, last = null, mask = null, size = null;

function visible() {
  const canvas = root.querySelector('canvas');
  const pen = canvas.getContext('2d');
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(mask, 0, 0);
  pen.globalCompositeOperation = 'source-in';
  pen.fillStyle = props.value.ink || '#e11d48';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.globalCompositeOperation = 'source-over';
}

function stroke(event) {
  const canvas = root.querySelector('canvas');
  const box = canvas.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width * canvas.width, y = (event.clientY - box.top) / box.height * canvas.height;
  const pen = mask.getContext('2d');
  pen.lineCap = pen.lineJoin = 'round';
  pen.lineWidth = Number(root.querySelector('input[type=range]').value) / 100 * Math.max(canvas.width, canvas.height);
  pen.strokeStyle = '#fff';
  pen.beginPath();
  pen.moveTo(...(last || [x, y]));
  pen.lineTo(x + 0.01, y);
  pen.stroke();
  last = [x, y];
  visible();
}

function hand() {
  const flat = document.createElement('canvas');
  [flat.width, flat.height] = [mask.width, mask.height];
  const pen = flat.getContext('2d');
  pen.fillRect(0, 0, flat.width, flat.height);
  pen.drawImage(mask, 0, 0);
  props.value = { ...props.value, strokes: flat.toDataURL('image/png') };
  trigger('input');
}

function start() {
  const v = props.value;
  size = v.size;
  mask = document.createElement('canvas');
  [mask.height, mask.width] = v.size;
  root.innerHTML = `<div class="hb-paper" style="aspect-ratio:${v.size[1]}/${v.size[0]}">${v.image ? `<img alt="${v.title || 'the picture'}" src="${v.image}" draggable="false">` : ''}
    <canvas width="${v.size[1]}" height="${v.size[0]}" aria-label="paint here"></canvas></div>
    <div class="hb-brush"><label>brush <input type="range" min="1" max="15" step="0.5" value="${v.brush || 4}"></label><button type="button">clear</button></div>`;
  const canvas = root.querySelector('canvas');
  canvas.addEventListener('pointerdown', (event) => { canvas.setPointerCapture(event.pointerId); drawing = true; last = null; stroke(event); });
  canvas.addEventListener('pointermove', (event) => { if (drawing) stroke(event); });
  for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { if (drawing) { drawing = false; hand(); } });
  root.querySelector('button').addEventListener('click', () => { mask.getContext('2d').clearRect(0, 0, mask.width, mask.height); visible(); hand(); });
  if (v.strokes) {
    const image = new Image();
    image.onload = () => {
      const pen = mask.getContext('2d');
      pen.drawImage(image, 0, 0);
      const pixels = pen.getImageData(0, 0, mask.width, mask.height);
      for (let i = 0; i < pixels.data.length; i += 4) pixels.data[i + 3] = pixels.data[i];
      pen.putImageData(pixels, 0, 0);
      visible();
    };
    image.src = v.strokes;
  }
}

let drawn = null;
function render() {
  const v = props.value;
  if (!v || !v.size) return;
  const key = `${v.image || ''}${v.size}${v.version || 0}`;
  if (key === drawn && root.querySelector('canvas')) return;
  drawn = key;
  start();
}
watch('value', render);
render();
