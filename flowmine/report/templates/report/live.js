// A page that is served: it hears of what is new, and takes it over without losing what is being looked at.
const heard = { version: 0, newest: 0, held: false, loading: false, lost: false };
const PHASES = {
  still: (state) => `${many(state.flows, 'flow')}, read whole`,
  live: (state) => `Live: ${many(state.flows, 'flow')}, ${many(state.edges, 'edge')}`,
  interrupted: (state) => `The stream is interrupted (${short(state.why, 160)}); trying again`,
  ended: (state) => `The stream has ended: ${many(state.flows, 'flow')}, ${many(state.edges, 'edge')}`,
  failed: (state) => `The stream failed: ${short(state.why, 300)}`,
};

// Say something to those who hear the page, and keep it from being said twice in one breath.
function announce(text) {
  const place = $('say');
  place.textContent = '';
  setTimeout(() => { place.textContent = text; }, 60);
}

function showState(phase, text) {
  const place = $('state');
  if (place.dataset.phase !== phase && place.dataset.phase && ['interrupted', 'failed', 'ended', 'lost'].includes(phase)) announce(text);
  place.dataset.phase = phase;
  place.textContent = text;
}

// Another page of the same address, parsed and not run: its parts are taken over.
function fetchPage() {
  return new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest();
    asked.open('GET', '.');
    asked.responseType = 'document';
    asked.onload = () => (asked.status === 200 && asked.responseXML ? resolve(asked.responseXML) : reject(new Error(`answer ${asked.status}`)));
    asked.onerror = () => reject(new Error('no answer'));
    asked.send();
  });
}

const nodeWords = (place) => { const node = view.nodes[place]; const group = view.groups[node.group]; return [group.title, group.side, node.title, node.kind]; };
const groupWords = (place) => [view.groups[place].title, view.groups[place].side];
const slotWords = (slot) => (slot.node >= 0 ? nodeWords(slot.node) : groupWords(slot.group));
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// What is picked, in words that the next version of the view can be asked for.
const WORDS = {
  node: ({ node }) => nodeWords(node),
  group: ({ group }) => groupWords(group),
  policy: ({ policy }) => [view.policies[policy].origin, view.policies[policy].ref],
  connection: ({ connection }) => { const each = view.connections[connection]; return [nodeWords(each.source), nodeWords(each.target), each.where, each.outcome]; },
  wire: ({ wire }) => [slotWords(drawn.plan.slots[wire.source]), slotWords(drawn.plan.slots[wire.target]), wire.outcome],
};
const foundPlace = (list, test) => { const place = list.findIndex(test); return place < 0 ? null : place; };

function again(kind, words) {
  const places = {
    node: () => foundPlace(view.nodes, (_, place) => same(nodeWords(place), words)),
    group: () => foundPlace(view.groups, (_, place) => same(groupWords(place), words)),
    policy: () => foundPlace(view.policies, (policy) => same([policy.origin, policy.ref], words)),
    connection: () => {
      const near = view.connections.map((each, place) => place).filter((place) => same(WORDS.connection({ connection: place }).slice(0, 3), words.slice(0, 3)));
      return near.find((place) => view.connections[place].outcome === words[3]) ?? near[0] ?? null;
    },
    wire: () => drawn.wires.find((wire) => same(WORDS.wire({ wire }), words)) || null,
  };
  const place = places[kind]();
  return place === null ? null : { kind, [kind]: place };
}

// Where the focus is: an element with an id, or what it is called within the nearest one that has.
function focusWords() {
  const own = document.activeElement;
  if (!own || own === document.body) return null;
  if (own.id) return { id: own.id };
  const home = own.closest('[id]');
  return { home: home ? home.id : '', tag: own.tagName, name: own.getAttribute('aria-label') || own.textContent };
}

function refocus(words) {
  if (!words || (document.activeElement && document.activeElement !== document.body && document.activeElement.isConnected)) return;
  const all = words.id ? [$(words.id)] : [...($(words.home) || document).querySelectorAll(words.tag.toLowerCase())]
    .filter((each) => (each.getAttribute('aria-label') || each.textContent) === words.name);
  if (all[0]) all[0].focus({ preventScroll: true });
}

function takeOver(page, id) {
  const fresh = page.getElementById(id);
  if (fresh) $(id).replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
}

function takeOverChoices(page) {
  for (const id of ['group', 'port']) {
    const chosen = $(id).selectedOptions[0];
    const text = chosen ? chosen.textContent : '';
    takeOver(page, id);
    const kept = [...$(id).options].findIndex((option) => option.textContent === text);
    $(id).selectedIndex = Math.max(0, kept);
  }
}

async function swap(page) {
  const words = picked ? [picked.kind, WORDS[picked.kind](picked), picked.origin] : null;
  const rules = picked && picked.rules;
  const focus = focusWords();
  const scrolled = [$('panel').scrollTop, $('canvas').scrollLeft, $('canvas').scrollTop, drawn.own ? drawn.scale : 0];
  const opened = [...document.querySelectorAll('#drops details[open]')].map((each) => each.querySelector('summary strong').textContent);
  view = await load(page);
  heard.version = Number(page.documentElement.dataset.version);
  index();
  for (const id of ['facts', 'remarks', 'drops', 'told', 'lint', 'rollout', 'trust']) takeOver(page, id);
  takeOverChoices(page);
  decorateDrops();
  for (const each of document.querySelectorAll('#drops details')) each.open = opened.includes(each.querySelector('summary strong').textContent);
  shades = null;
  picked = null;
  before.length = 0;
  drawn.plan = null;
  paintShelf();
  repaint();
  if (scrolled[3]) { zoom(scrolled[3]); drawn.own = true; }
  const found = words && again(words[0], words[1]);
  if (found) {
    picked = { ...found, origin: words[2], rules };
    show();
  } else if (words) show();
  [$('panel').scrollTop, $('canvas').scrollLeft, $('canvas').scrollTop] = scrolled;
  refocus(focus);
  document.documentElement.dataset.version = heard.version;
}

function news(older, newer) {
  const words = (each) => JSON.stringify([nodeWords(each.source), nodeWords(each.target), each.where, each.outcome]);
  const fresh = view.connections.map(words).filter((each) => !older.has(each)).length;
  const lines = [fresh ? `${many(fresh, 'new connection')} on the map` : '', newer];
  return lines.filter(Boolean).join('. ');
}

async function refresh() {
  if (heard.loading || heard.newest <= heard.version) return;
  heard.loading = true;
  try {
    const older = new Set(view.connections.map((each) => JSON.stringify([nodeWords(each.source), nodeWords(each.target), each.where, each.outcome])));
    await swap(await fetchPage());
    const text = news(older, '');
    if (text) announce(text);
    await redraft();
  } catch (error) {
    showState('lost', `What is new could not be fetched (${error.message})`);
  } finally {
    heard.loading = false;
  }
  offerNewer();
}

function offerNewer() {
  const waiting = heard.newest > heard.version;
  $('newer').hidden = !(heard.held && waiting);
  if (waiting && !heard.held) refresh();
}

function listen() {
  const source = new EventSource('events');
  const on = (kind, run) => source.addEventListener(kind, (event) => run(JSON.parse(event.data)));
  on('view', ({ version }) => { heard.newest = Math.max(heard.newest, version); offerNewer(); });
  on('draft', ({ revision }) => { if (revision !== (draft && draft.revision)) redraft(); });
  on('state', (state) => { heard.state = state; showState(state.phase, PHASES[state.phase](state)); $('hold').hidden = state.phase === 'still'; });
  source.addEventListener('open', () => { heard.lost = false; if (heard.state) showState(heard.state.phase, PHASES[heard.state.phase](heard.state)); });
  source.addEventListener('error', () => {
    heard.lost = true;
    showState('lost', source.readyState === EventSource.CLOSED
      ? 'flowmine ui has ended, or was started anew: open the address that it printed'
      : 'No answer from flowmine ui; trying again');
  });
}

hooks.ready.push(() => {
  heard.version = heard.newest = Number(document.documentElement.dataset.version);
  $('pulse').hidden = false;
  $('hold').addEventListener('click', () => {
    heard.held = !heard.held;
    $('hold').setAttribute('aria-pressed', String(heard.held));
    offerNewer();
  });
  $('newer').addEventListener('click', () => { $('newer').hidden = true; $('hold').focus(); refresh(); });
  listen();
});
