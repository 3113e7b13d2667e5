// Which connections are wanted: one flag a connection, so that map, table and details agree.
const wanted = { text: '', group: -1, port: '', outcomes: new Set(), lookups: true, platform: true };
let visible = new Uint8Array(0);

function isWanted(each, near) {
  if (!wanted.outcomes.has(each.outcome)) return false;
  if (wanted.port && each.where !== wanted.port) return false;
  if (!wanted.lookups && each.lookup) return false;
  if (!wanted.platform && each.platform) return false;
  if (wanted.group >= 0 && view.nodes[each.source].group !== wanted.group
    && view.nodes[each.target].group !== wanted.group) return false;
  return near === null || near[each.source] || near[each.target] || each.hay.includes(wanted.text);
}

function refilter() {
  const near = wanted.text ? found.hay.map((hay) => hay.includes(wanted.text)) : null;
  visible = Uint8Array.from(view.connections, (each) => (isWanted(each, near) ? 1 : 0));
  const shown = visible.reduce((sum, flag) => sum + flag, 0);
  $('count').textContent = shown === view.connections.length
    ? `${many(shown, 'connection')} between ${many(view.nodes.length, 'end')}`
    : `${number(shown)} of ${many(view.connections.length, 'connection')}`;
}

function readFilters() {
  wanted.text = $('search').value.trim().toLowerCase();
  wanted.group = Number($('group').value);
  wanted.port = $('port').value;
  wanted.lookups = $('lookups').checked;
  wanted.platform = $('platform').checked;
  const boxes = [...document.querySelectorAll('input[name="outcome"]')];
  wanted.outcomes = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
}

function clearFilters() {
  $('search').value = '';
  $('group').value = '-1';
  $('port').value = '';
  for (const box of document.querySelectorAll('#filters input[type="checkbox"]')) box.checked = true;
}
