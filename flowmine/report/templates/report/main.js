function repaint() {
  readFilters();
  refilter();
  const plan = wanted.group >= 0 && view.maps.length > 1 ? view.maps[wanted.group + 1] : view.maps[0];
  if (plan !== drawn.plan) drawMap(plan);
  paintMap();
  markPicked();
  paintTable();
}

function openGroup(group) {
  $('group').value = String(group);
  repaint();
  pick({ kind: 'group', group });
}

function openAll() {
  $('group').value = '-1';
  repaint();
}

function startFilters() {
  let timer = 0;
  $('filters').addEventListener('input', (event) => {
    clearTimeout(timer);
    if (event.target.id === 'search') timer = setTimeout(repaint, 90);
    else repaint();
  });
  $('reset').addEventListener('click', () => { clearFilters(); repaint(); });
  $('all').addEventListener('click', openAll);
  $('in').addEventListener('click', () => zoomBy(1.25));
  $('out').addEventListener('click', () => zoomBy(0.8));
  $('fit').addEventListener('click', fit);
  $('more').addEventListener('click', moreRows);
}

function startPage() {
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && picked) close();
  });
  document.addEventListener('click', (event) => {
    const by = event.target.closest('button.copy');
    if (!by) return;
    const lines = by.closest('figure').querySelector('pre');
    const text = by.dataset.copies === 'diff' ? [...lines.children].map((line) => line.textContent).join('\n') : lines.textContent;
    copy(text, by);
  });
  $('theme').addEventListener('click', () => {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const now = document.documentElement.dataset.theme || (dark ? 'dark' : 'light');
    document.documentElement.dataset.theme = now === 'dark' ? 'light' : 'dark';
  });
  addEventListener('resize', () => { if (!drawn.own) fit(); });
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = [...document.querySelectorAll('#drops details:not([open])')];
    for (const each of closed) each.open = true;
  });
  addEventListener('afterprint', () => { for (const each of closed) each.open = false; });
}

load().then((loaded) => {
  view = loaded;
  index();
  for (const id of ['filters', 'tools', 'theme', 'hint']) $(id).hidden = false;
  startFilters();
  startPage();
  paintShelf();
  repaint();
  for (const run of hooks.ready) run();
  document.documentElement.dataset.ready = 'yes';
});
