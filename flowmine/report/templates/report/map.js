// The map: boxes and lines come with their places, and are made elements here.
const drawn = { plan: null, svg: null, slots: [], wires: [], scale: 1, own: false };
let shades = null; // other outcomes of the connections, by place, with the lines for them
const TABBED = 120; // more lines than these are reached through their boxes

// Each line with the connections that it stands for; where it runs is told with the map.
function bundles(plan) {
  const shade = shades || { outcomes: null, wires: view.wires };
  const places = new Map();
  const key = (source, target, rank) => (source * plan.slots.length + target) * 8 + rank;
  view.connections.forEach((each, place) => {
    const at = key(plan.slot_of[each.source], plan.slot_of[each.target], shade.outcomes ? shade.outcomes[place] : found.rank[each.outcome]);
    if (!places.has(at)) places.set(at, []);
    places.get(at).push(place);
  });
  const names = Object.keys(view.outcomes);
  return shade.wires[view.maps.indexOf(plan)].map(([source, target, rank, path]) =>
    ({ source, target, path, outcome: names[rank], connections: places.get(key(source, target, rank)) }));
}

const slotName = (slot) => (slot.node >= 0 ? named(slot.node) : view.groups[slot.group].title);

function onKey(run) {
  return (event) => {
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); run(event); }
  };
}

function wireElements(plan, wire, tabbed) {
  const d = wire.path;
  const about = `${short(slotName(plan.slots[wire.source]))} to ${short(slotName(plan.slots[wire.target]))}: ${number(wire.connections.length)} ${wire.outcome}`;
  const open = () => pick({ kind: 'wire', wire });
  const reach = tabbed ? { tabindex: 0, role: 'button', 'aria-label': about } : {};
  wire.hit = svg('path', { class: 'hit', d, ...reach, on: { click: open, keydown: onKey(open) } }, svg('title', {}, about));
  wire.line = svg('path', { class: `wire ${wire.outcome}`, d, 'aria-hidden': 'true' });
  return svg('g', {}, wire.hit, wire.line);
}

function box(kind, shape, texts, about, open, more = {}) {
  const reach = open ? { tabindex: 0, role: 'button', 'aria-label': short(about, 200), on: { click: open, keydown: onKey(open), ...more } } : {};
  const { x, y, width, height } = shape;
  return svg('g', { class: kind, ...reach }, svg('rect', { x, y, width, height, rx: 8 }),
    texts.map(([dx, dy, name, text]) => svg('text', { x: x + dx, y: y + dy, class: name }, text)), svg('title', {}, short(about, 300)));
}

function slotElement(plan, slot, place) {
  const middle = slot.height / 2;
  const aim = { pointerenter: () => aimAt(place), pointerleave: () => aimAt(null), focus: () => aimAt(place), blur: () => aimAt(null) };
  if (slot.node >= 0) {
    const node = view.nodes[slot.node];
    const kind = ['entity', 'outside', 'unknown', 'pod'].includes(node.kind) ? node.kind : 'workload';
    const texts = [[12, middle - 2, 'slot-title', short(node.title, 18)], [12, middle + 13, 'slot-note', node.kind]];
    return box(`node ${kind}`, slot, texts, named(slot.node), () => pick({ kind: 'node', node: slot.node }), aim);
  }
  const group = view.groups[slot.group];
  const count = view.nodes.filter((node) => node.group === slot.group).length;
  const note = many(count, group.kind === 'namespace' ? 'workload' : 'peer');
  const texts = [[12, middle - 2, 'slot-title', short(group.title, 20)], [12, middle + 13, 'slot-note', note]];
  return box('folded', slot, texts, `${group.title}, ${note}: open`, () => openGroup(slot.group), aim);
}

function frameElement(plan, frame) {
  const group = view.groups[frame.group];
  const open = plan.group < 0 && view.maps.length > 1 ? () => openGroup(frame.group) : null;
  return box(`frame ${group.kind}${open ? ' openable' : ''}`, frame, [], open ? `${group.title}: open alone` : group.title, open);
}

function frameTitle(frame) {
  const title = short(view.groups[frame.group].title, Math.floor((frame.width - 24) / 7));
  return svg('text', { x: frame.x + 14, y: frame.y + 20, class: 'frame-title', 'aria-hidden': 'true' }, title);
}

function drawMap(plan) {
  const old = $('canvas').querySelector('svg');
  const ends = drawn.svg ? drawn.svg.querySelector('defs') : old.querySelector('defs').cloneNode(true);
  const wires = bundles(plan);
  const tabbed = wires.length <= TABBED;
  const about = plan.group < 0 ? 'all namespaces' : view.groups[plan.group].title;
  const slots = plan.slots.map((slot, place) => slotElement(plan, slot, place));
  const made = svg('svg', { class: `map${wires.length > TABBED ? ' dense' : ''}${wires.length > 4 * TABBED ? ' crowd' : ''}`, viewBox: `0 0 ${plan.width} ${plan.height}`, role: 'group', 'aria-label': `Map of ${short(about)}` },
    ends, plan.frames.map((frame) => frameElement(plan, frame)), wires.map((wire) => wireElements(plan, wire, tabbed)), slots, plan.frames.map(frameTitle));
  Object.assign(drawn, { plan, svg: made, slots, wires });
  old.replaceWith(made);
  $('where').textContent = short(plan.group < 0 ? (plan.frames.length ? 'All namespaces, open' : 'All namespaces, folded') : view.groups[plan.group].title, 60);
  $('all').hidden = plan.group < 0;
  for (const run of hooks.drawn) run();
  fit();
}

function zoom(scale) {
  drawn.scale = Math.min(2.5, Math.max(0.2, scale));
  drawn.svg.setAttribute('width', Math.round(drawn.plan.width * drawn.scale));
  drawn.svg.setAttribute('height', Math.round(drawn.plan.height * drawn.scale));
}

// Show all of the map's width, if it can still be read then.
function fit() {
  drawn.own = false;
  const room = $('canvas').clientWidth - 2;
  zoom(Math.min(1.1, Math.max(0.5, room / drawn.plan.width)));
}

function zoomBy(factor) {
  zoom(drawn.scale * factor);
  drawn.own = true;
}

// Show what is wanted: lines without a wanted connection go, boxes without any fade.
function paintMap() {
  const lively = new Set();
  for (const wire of drawn.wires) {
    wire.shown = wire.connections.filter((place) => visible[place]);
    wire.hit.parentNode.classList.toggle('off', !wire.shown.length);
    if (wire.shown.length) lively.add(wire.source).add(wire.target);
  }
  if (drawn.plan.slots.some((slot) => slot.node < 0)) {
    view.connections.forEach((each, place) => {
      if (visible[place]) lively.add(drawn.plan.slot_of[each.source]).add(drawn.plan.slot_of[each.target]);
    });
  }
  const all = visible.every((flag) => flag);
  drawn.slots.forEach((slot, place) => slot.classList.toggle('idle', !all && !lively.has(place)));
  aimAt(null);
}

let aimed = null;

// Bring out the lines of one box: the one under the pointer or focus, else the one picked.
function aimAt(place) {
  const target = place === null ? pickedSlot() : place;
  if (target === aimed && place !== null) return;
  aimed = target;
  drawn.svg.classList.toggle('aimed', target !== null);
  const near = new Set([target]);
  for (const wire of drawn.wires) {
    const mine = wire.source === target || wire.target === target;
    wire.line.classList.toggle('aim', mine);
    if (mine) near.add(wire.source).add(wire.target);
  }
  drawn.slots.forEach((slot, at) => slot.classList.toggle('far', target !== null && !near.has(at)));
}

function pickedSlot() {
  if (!picked || picked.kind !== 'node') return null;
  const place = drawn.plan.slot_of[picked.node];
  return place >= 0 && drawn.plan.slots[place].node >= 0 ? place : null;
}

// Bring the picked box into sight, where the details have taken room.
function revealPicked(place) {
  if (place === null) return;
  const { x, width } = drawn.plan.slots[place];
  const canvas = $('canvas');
  const left = x * drawn.scale;
  if (left < canvas.scrollLeft || left + width * drawn.scale > canvas.scrollLeft + canvas.clientWidth) canvas.scrollLeft = left - 40;
}

function markPicked() {
  const place = pickedSlot();
  drawn.slots.forEach((slot, at) => slot.classList.toggle('picked', at === place));
  const chosen = picked && picked.kind === 'wire' ? picked.wire : null;
  const single = picked && picked.kind === 'connection' ? picked.connection : -1;
  for (const wire of drawn.wires) {
    wire.line.classList.toggle('picked', wire === chosen || (single >= 0 && wire.connections.includes(single)));
  }
  aimAt(null);
  revealPicked(place);
}
