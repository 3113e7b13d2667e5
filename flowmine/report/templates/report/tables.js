// The tables of connections and of policies.
const PAGE = 100;
const order = { by: 'outcome', down: true };
let rows = [];
let shownRows = 0;

const COLUMNS = [
  { name: 'from', key: (each) => named(each.source) },
  { name: 'to', key: (each) => named(each.target) },
  { name: 'port', key: (each) => (each.port === null ? -1 : each.port) },
  { name: 'outcome', key: (each) => GRAVE[each.outcome] },
  { name: 'events', key: (each) => each.events, number: true },
  { name: 'dropped', key: (each) => each.dropped, number: true },
  { name: 'last', key: (each) => each.last || 0 },
];

function tableHead() {
  const cells = COLUMNS.map((column) => {
    const sorted = order.by === column.name ? (order.down ? 'descending' : 'ascending') : 'none';
    const sort = () => {
      order.down = order.by === column.name ? !order.down : Boolean(column.number) || column.name === 'last';
      order.by = column.name;
      paintTable();
      [...$('table').querySelectorAll('th button')].find((each) => each.textContent === column.name).focus();
    };
    return el('th', { scope: 'col', 'aria-sort': sorted, class: column.number ? 'number' : null }, button(column.name, sort));
  });
  return el('thead', {}, el('tr', {}, cells));
}

function tableRow(place) {
  const each = view.connections[place];
  return el('tr', {},
    el('td', {}, link(short(named(each.source)), () => pick({ kind: 'connection', connection: place }))),
    el('td', {}, said(short(named(each.target)))), el('td', { class: 'tight' }, said(each.where)), el('td', { class: 'tight' }, badge(each.outcome)),
    el('td', { class: 'number' }, number(each.events)), el('td', { class: 'number' }, each.dropped ? number(each.dropped) : ''),
    el('td', { class: 'tight' }, when(each.last)));
}

function paintTable() {
  const column = COLUMNS.find((each) => each.name === order.by);
  const keys = view.connections.map((each, place) => (visible[place] ? column.key(each) : null));
  rows = keys.map((_, place) => place).filter((place) => visible[place]);
  const sign = order.down ? -1 : 1;
  rows.sort((a, b) => (keys[a] < keys[b] ? -sign : keys[a] > keys[b] ? sign : view.connections[b].events - view.connections[a].events || a - b));
  $('table').replaceChildren(tableHead(), el('tbody'));
  shownRows = 0;
  moreRows();
}

function moreRows() {
  $('table').querySelector('tbody').append(...rows.slice(shownRows, shownRows + PAGE).map(tableRow));
  shownRows = Math.min(rows.length, shownRows + PAGE);
  $('more').hidden = shownRows >= rows.length;
  $('more').textContent = `Show more (${number(rows.length - shownRows)} left)`;
}

function paintShelf() {
  if (!view.policies.length) {
    $('shelf').replaceChildren(el('tbody', {}, el('tr', {}, el('td', {}, 'No policies.'))));
    return;
  }
  const head = ['policy', 'namespace', 'origin', 'entries', ''].map((name) => el('th', { scope: 'col', class: name === 'entries' ? 'number' : null }, name || el('span', { class: 'quiet' }, 'take')));
  const body = view.policies.map((policy, place) => el('tr', {},
    el('td', {}, link(short(policy.name), () => pick({ kind: 'policy', policy: place }))), el('td', {}, said(policy.namespace)), el('td', { class: 'tight' }, policy.origin),
    el('td', { class: 'number' }, number(policy.rules.length)),
    el('td', { class: 'tight' }, button('Copy', (event) => copy(policy.text, event.target), { 'aria-label': `Copy ${short(policy.name)}` }), ' ', button('Download', () => download(fileOf(policy), policy.text), { 'aria-label': `Download ${short(policy.name)}` }))));
  $('shelf').replaceChildren(el('thead', {}, el('tr', {}, head)), el('tbody', {}, body));
  const origins = [...new Set(view.policies.map((policy) => policy.origin))];
  $('bundles').replaceChildren(...origins.map((origin) => button(`Download all ${origin}`, () => downloadAll(origin))));
}
