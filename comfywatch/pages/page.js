
"use strict";
(() => {
  // Whatever comes from outside goes into the page as text or as a percent-encoded relative address, never as markup.
  const CHUNK = 60, KINDS = { p: "picture", v: "video", a: "audio", f: "file" };
  const find = (selector, within = document) => within.querySelector(selector);
  const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];
  const encoded = (path) => {
    const address = path.split("/").map(encodeURIComponent).join("/");
    return address.startsWith("../") ? address : "./" + address;
  };

  // --- times, in the reader's own zone

  const shortTime = (date) => date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const localize = (time) => {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) return;
    const isToday = time.className === "soon" && date.toDateString() === new Date().toDateString();
    time.textContent = isToday ? date.toLocaleTimeString([], { timeStyle: "short" }) : shortTime(date);
    time.title = time.dateTime;
  };
  const monthName = (month) => {
    const [year, number] = month.split("-").map(Number);
    const options = { month: "long", year: "numeric", timeZone: "UTC" };
    return month ? new Date(Date.UTC(year, number - 1, 1)).toLocaleDateString("en", options) : "No date";
  };
  const tellAge = () => {
    const minutes = Math.round((Date.now() - new Date(document.body.dataset.updated)) / 60000);
    const parts = [["day", 1440], ["hour", 60], ["minute", 1]].find(([, size]) => minutes >= size);
    const ago = find("#ago");
    if (!parts || !ago) return;
    const told = new Intl.RelativeTimeFormat("en").format(-Math.floor(minutes / parts[1]), parts[0]);
    const isOld = minutes > 10 && find("[data-busy]");
    ago.textContent = ", " + told + (isOld ? "; what it says of running jobs may no longer be so" : "");
  };

  findAll("time[datetime]").forEach(localize);
  findAll(".month").forEach((heading) => { heading.textContent = monthName(heading.dataset.month); });
  findAll("#month option").forEach((option) => {
    const count = option.textContent.match(/ \(\d+\)$/);
    if (option.value !== "*" && count) option.textContent = monthName(option.value) + count[0];
  });
  tellAge();
  setInterval(tellAge, 30000);

  // --- copying what mends a problem

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  findAll(".copy").forEach((button) => { button.hidden = false; });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    await copy(find("code", button.parentElement).textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  const source = find("#runs");
  if (!source) return;

  // --- the outputs, newest first

  const outputs = JSON.parse(source.textContent).flatMap((run) =>
    run.o.map(([name, kind, opens]) => ({ run, name, kind: KINDS[kind], opens, address: encoded(run.f + "/" + name) })));
  const grid = find("#grid"), end = find("#end"), tiles = new Map();
  let chosen = outputs, made = 0;

  const fillMedia = (tile, output) => {
    const folder = encoded(output.run.f) + "/", media = find(".media", tile);
    const way = output.opens ? output.address : folder;
    if (output.kind === "picture") {
      media.href = way;
      find("img", media).src = output.address;
      find("img", media).alt = output.name;
    } else if (output.kind === "video") {
      media.src = output.address;
      media.title = output.name;
    } else {
      find(".name", media).textContent = output.name;
      if (output.kind === "audio") find("audio", media).src = output.address;
      else media.href = way;
    }
  };
  const fill = (tile, output) => {
    fillMedia(tile, output);
    tile.dataset.state = output.run.s;
    find(".workflow", tile).href = encoded(output.run.f) + "/";
    find(".workflow bdi", tile).textContent = output.run.w;
    find(".run", tile).textContent = output.run.n;
    const time = find("time", tile);
    if (output.run.t) time.dateTime = output.run.t;
    localize(time);
    find(".seed", tile).textContent = output.run.e.join(", ");
  };
  const ready = (tile, output) => {
    tile.output = output;
    tiles.set(output, tile);
    const ending = find(".ending", tile);
    if (ending) ending.textContent = output.name.includes(".") ? output.name.split(".").pop().slice(0, 6) : "file";
    if (output.kind === "video") soon.observe(tile);
  };
  const soon = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    soon.unobserve(entry.target);
    find("video", entry.target).preload = "metadata";
  }), { rootMargin: "300px" });

  const make = (output) => {
    const known = tiles.get(output);
    if (known) return known;
    const tile = find("#" + output.kind).content.firstElementChild.cloneNode(true);
    fill(tile, output);
    ready(tile, output);
    return tile;
  };
  const heading = (month) => {
    const element = document.createElement("h2");
    element.className = "month";
    element.dataset.month = month;
    element.textContent = monthName(month);
    return element;
  };
  const more = (count = CHUNK) => {
    const fragment = document.createDocumentFragment();
    for (const output of chosen.slice(made, made + count)) {
      const month = output.run.t.slice(0, 7);
      if (made === 0 || chosen[made - 1].run.t.slice(0, 7) !== month) fragment.append(heading(month));
      fragment.append(make(output));
      made += 1;
    }
    grid.append(fragment);
    if (made < chosen.length) {
      atEnd.unobserve(end);
      atEnd.observe(end);
    }
  };
  const atEnd = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && made < chosen.length) more();
  }, { rootMargin: "1500px" });

  if (grid) {
    findAll(".tile", grid).forEach((tile, index) => ready(tile, outputs[index]));
    made = tiles.size;
    atEnd.observe(end);
    grid.addEventListener("error", (event) => event.target.closest(".tile")?.classList.add("gone"), true);
  }

  // --- filters, kept in the address so that they last when the page is loaded again

  const wanted = { state: "", workflow: "", month: "*" };
  const normal = (text) => text.trim().toLowerCase();
  const fits = (state, workflow, month) =>
    (!wanted.state || wanted.state === state) && normal(workflow).includes(normal(wanted.workflow)) &&
    (wanted.month === "*" || month === undefined || wanted.month === month);

  const apply = () => {
    findAll(".chips button").forEach((chip) => chip.setAttribute("aria-pressed", String(chip.dataset.state === wanted.state)));
    findAll(".row").forEach((row) => { row.hidden = !fits(row.dataset.state, row.dataset.workflow); });
    findAll(".part").forEach((part) => {
      const rows = findAll(".row", part);
      part.hidden = rows.length > 0 && rows.every((row) => row.hidden);
    });
    const isNarrowed = wanted.state || wanted.workflow;
    findAll(".part details").forEach((details) => { details.open = Boolean(isNarrowed); });
    chosen = outputs.filter(({ run }) => fits(run.s, run.w, run.t.slice(0, 7)));
    made = 0;
    grid?.replaceChildren();
    if (grid) more();
    find("#none").hidden = chosen.length > 0 || findAll(".row").some((row) => !row.hidden) || outputs.length === 0;
  };
  const change = (changes) => {
    Object.assign(wanted, changes);
    const set = Object.entries(wanted).filter(([, value]) => value && value !== "*");
    try {
      history.replaceState(null, "", set.length ? "#" + new URLSearchParams(set) : location.pathname);
    } catch { /* some browsers refuse this for files; the filter works without */ }
    apply();
  };
  const filters = find("#filters");
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-state]");
    if (chip) change({ state: chip.dataset.state });
  });
  find("#workflow").addEventListener("input", (event) => change({ workflow: event.target.value }));
  find("#month").addEventListener("change", (event) => change({ month: event.target.value }));
  const kept = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  for (const key of Object.keys(wanted)) if (typeof kept[key] === "string") wanted[key] = kept[key];
  find("#workflow").value = wanted.workflow;
  find("#month").value = wanted.month;
  if (find("#month").selectedIndex < 0) find("#month").value = wanted.month = "*";
  if (wanted.state || wanted.workflow || wanted.month !== "*") apply();

  // --- the viewer

  const viewer = find("#viewer"), stage = find(".stage", viewer);
  let shown = null;
  const inViewer = (output) => {
    if (output.kind === "picture") return Object.assign(new Image(), { src: output.address, alt: output.name });
    const player = document.createElement(output.kind);
    return Object.assign(player, { src: output.address, controls: true, autoplay: true, loop: output.kind === "video" });
  };
  const show = (output) => {
    shown = output;
    const { run } = output, folder = encoded(run.f) + "/";
    stage.replaceChildren(inViewer(output));
    find(".workflow", viewer).textContent = run.w;
    find(".run", viewer).textContent = run.n;
    const facts = [run.t && shortTime(new Date(run.t)), run.e.length && "seed " + run.e.join(", "), run.d && run.d + " s", output.name];
    find(".facts", viewer).textContent = facts.filter(Boolean).join(" · ");
    find(".open", viewer).href = output.opens ? output.address : folder;
    find(".folder", viewer).href = folder;
    find(".result", viewer).href = folder + "result.yaml";
    if (!viewer.open) viewer.showModal();
  };
  const step = (by) => {
    const viewable = chosen.filter((output) => output.kind !== "file");
    const next = viewable[viewable.indexOf(shown) + by];
    if (next) show(next);
  };
  viewer.addEventListener("close", () => {
    stage.replaceChildren();
    while (shown && made < chosen.length && chosen.indexOf(shown) >= made) more();
    const tile = tiles.get(shown);
    shown = null;
    tile?.scrollIntoView({ block: "nearest" });
    find("a.media, video", tile ?? document)?.focus({ preventScroll: true });
  });
  viewer.addEventListener("click", (event) => {
    if (event.target.closest(".back")) step(-1);
    else if (event.target.closest(".on")) step(1);
    else if (event.target.closest(".close") || event.target === stage) viewer.close();
  });
  grid?.addEventListener("click", (event) => {
    const link = event.target.closest('.tile[data-kind="picture"] a.media');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(link.closest(".tile").output);
  });
  let touched = null;
  viewer.addEventListener("touchstart", (event) => { touched = event.changedTouches[0].clientX; }, { passive: true });
  viewer.addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - touched;
    if (Math.abs(moved) > 50) step(moved < 0 ? 1 : -1);
  }, { passive: true });

  // --- the keyboard

  const walk = (by) => {
    const links = findAll("a.media", grid);
    const next = links[links.indexOf(document.activeElement) + by];
    if (next) next.focus();
    return Boolean(next);
  };
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, video, audio")) return;
    const by = STEPS[event.key];
    if (viewer.open && by) step(by);
    else if (viewer.open && event.key === "Home") show(chosen.find((output) => output.kind !== "file"));
    else if (viewer.open && event.key === "End") show(chosen.findLast((output) => output.kind !== "file"));
    else if (!by || !document.activeElement.matches("a.media") || !walk(by)) return;
    event.preventDefault();
  });

  // --- while jobs run the page is loaded again now and then, but never under somebody's hands

  const isLeftAlone = () => document.visibilityState === "visible" && !viewer.open && scrollY < 120 &&
    document.activeElement === document.body && getSelection().isCollapsed && findAll("video, audio").every((player) => player.paused);
  if (find("[data-busy]")) setInterval(() => { if (isLeftAlone()) location.reload(); }, 10000);
})();
