// Named groups of pictures: a name to write, thumbnails, and a place to drop more. Fires 'input' when a name was changed or a
// picture or group taken away or added, 'drop_file' {group, name, data} for each file.
const root = element.querySelector('.hb-groups');
const MOST = 20 * 1024 * 1024;
const safe = (s) => String(s).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const say = (text) => { root.querySelector('.hb-said').textContent = text; };

function take(files, group) {
  for (const file of files) {
    if (file.size > MOST) { say(`${file.name} has ${(file.size / 1048576).toFixed(0)} MB: more than 20 are refused, make it smaller`); continue; }
    const reader = new FileReader();
    reader.onload = () => trigger('drop_file', { group, name: file.name, data: reader.result });
    reader.readAsDataURL(file);
  }
}

function change(groups) { props.value = { ...props.value, groups }; trigger('input'); }

function render() {
  const v = props.value;
  if (!v || !v.groups) return;
  root.innerHTML = v.groups.map((g, i) => `<fieldset class="hb-group" data-group="${i}"><div class="hb-group-head">${v.named
    ? `<input type="text" value="${safe(g.name)}" aria-label="name of class ${i + 1}" maxlength="40"><button type="button" data-drop-group="${i}" aria-label="take class ${safe(g.name)} away">×</button>`
    : `<b>${safe(g.name)}</b>`}</div><div class="hb-thumbs">${g.keys.map((k) => `<span class="hb-thumb"><img alt="${safe(v.names[k] || k)}" title="${safe(v.names[k] || k)}" src="${v.thumbs[k] || ''}"><button type="button" data-key="${safe(k)}" aria-label="take ${safe(v.names[k] || k)} away">×</button></span>`).join('')}
    <label class="hb-add" title="add pictures"><input type="file" multiple accept="image/*" aria-label="add pictures to ${safe(g.name)}"><span>+</span></label></div></fieldset>`).join('')
    + (v.named ? '<button type="button" class="hb-more">add a class</button>' : '') + '<p class="hb-said" role="status"></p>';
}

const copy = () => props.value.groups.map((g) => ({ ...g, keys: [...g.keys] }));
root.addEventListener('change', (event) => {
  const group = Number(event.target.closest('[data-group]').dataset.group);
  if (event.target.type === 'file') { take(event.target.files, group); return; }
  const groups = copy();
  groups[group].name = event.target.value.trim() || `class ${group + 1}`;
  change(groups);
});
root.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const groups = copy();
  if (button.classList.contains('hb-more')) groups.push({ name: `class ${groups.length + 1}`, keys: [] });
  else if (button.dataset.dropGroup !== undefined) groups.splice(Number(button.dataset.dropGroup), 1);
  else {
    const keys = groups[Number(button.closest('[data-group]').dataset.group)].keys;
    keys.splice(keys.indexOf(button.dataset.key), 1);
  }
  change(groups);
});
root.addEventListener('dragover', (event) => event.preventDefault());
root.addEventListener('drop', (event) => {
  event.preventDefault();
  const group = event.target.closest('[data-group]');
  if (group) take(event.dataTransfer.files, Number(group.dataset.group));
});
watch('value', render);
render();
