const kept = storage("supervision.");
const VIEWS = {
  figures: { path: "figures", rows: "figures", days: true, region: "region" },
  refusals: { path: "refusals", rows: "refusals", days: true, region: "region" },
  policies: { path: "policies", rows: "policies" },
  laboratories: { path: "laboratories", rows: "laboratories", days: true, region: "store" },
  conflicts: { path: "conflicts", rows: "conflicts", region: "store" },
  overdue: { path: "overdueSamples", rows: "samples", days: true, region: "store" },
};
const COLUMNS = {
  refusals: ["firstShownAt", "open", "region", "scene", "status", "notice", "reasons", "policyId"],
  policies: ["region", "policyId", "effectiveFrom", "declared", "counterExample"],
  laboratories: ["day", "laboratory", "records", "reported", "waiting", "overdue", "medianHours", "p95Hours", "amendedShare", "retractedShare", "positiveShare", "discordantPairs"],
  conflicts: ["settle", "sourceId", "region", "reason", "storedResult", "offeredResult", "laboratory", "firstOfferedAt", "times"],
  overdue: ["ask", "sourceId", "region", "laboratory", "contact", "sampledAt", "overdueHours", "answerText"],
};
const ALL = [...MEASURES, "repeatTestsAvoided"], MOST_ROWS = 500, MOST_PAGES = 30;
let token = kept.get("token"), regions = [], view = "figures", rows = [], cut = false, asked = 0, drawSheet = null;

const isoDay = ago => new Date(Date.now() - ago * 86400000).toLocaleDateString("en-CA", { timeZone: "Asia/Shanghai" });
const moment = text => text.slice(0, 16).replace("T", " ");
const regionName = code => { const one = regions.find(region => region.code === code); return one ? both(one.name) : code; };
const placeName = scene => scene ? sceneName(scene) : t("general");

async function reply(path, options = {}) {
  const answer = await fetch(path, { cache: "no-store", ...options, headers: { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) } });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(saidOf(problem)), { status: answer.status });
}

const post = (path, body) => reply(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

function query(more = {}) {
  const { days, region } = VIEWS[view], asks = new URLSearchParams(more);
  if (days) for (const [name, id] of [["firstDay", "first"], ["lastDay", "last"]]) if ($(id).value) asks.set(name, $(id).value);
  if (region && $("region").value) asks.set(region, $("region").value);
  return `/v1/supervision/${VIEWS[view].path}${asks.size ? `?${asks}` : ""}`;
}

async function load() {
  const mine = ++asked;
  rows = [];
  cut = false;
  $("note").textContent = t("loading");
  draw();
  try {
    const collected = [];
    let next = "";
    for (let page = 0; page < MOST_PAGES; page++) {
      const more = view === "policies" ? {} : { pageSize: "1000", ...(next ? { pageToken: next } : {}) };
      const answer = await (await reply(query(more))).json();
      collected.push(...answer[VIEWS[view].rows]);
      next = answer.nextPageToken;
      if (!next || (view !== "figures" && collected.length >= MOST_ROWS)) break;
    }
    if (mine !== asked) return;
    rows = collected;
    cut = !!next || (view !== "figures" && rows.length > MOST_ROWS);
    $("note").textContent = "";
  } catch (error) {
    if (mine !== asked) return;
    if (error.status === 401 || error.status === 403) return signOut(t("wrong"));
    $("note").textContent = t("trouble") + (error.message || "");
  }
  draw();
}

// Figures of one region, place or day together, or each by itself.
function grouped() {
  const by = $("group").value, groups = new Map();
  for (const row of rows) {
    const key = by === "detail" ? `${row.day}|${row.region}|${row.scene}` : String(row[by]);
    const name = { region: () => regionName(row.region), scene: () => placeName(row.scene), day: () => row.day,
      detail: () => `${row.day} ${regionName(row.region)} ${placeName(row.scene)}` }[by]();
    const group = groups.get(key) || { label: name, ...Object.fromEntries(ALL.map(measure => [measure, 0])) };
    for (const measure of ALL) group[measure] += row[measure];
    groups.set(key, group);
  }
  return [...groups.values()];
}

function cell(name, row) {
  const value = row[name], words = t("columns");
  if (name === "open") {
    return el("button", { type: "button", "aria-label": `${t("reopen")} ${moment(row.firstShownAt)} ${regionName(row.region)} ${placeName(row.scene)}`, onclick: () => reopen(row) }, t("reopen"));
  }
  if (name === "settle") return el("button", { type: "button", "aria-label": `${t("settle")} ${row.sourceId}`, onclick: () => settling(row) }, t("settle"));
  if (name === "ask") {
    if (row.askedAt) return `${t("askedAt")} ${moment(row.askedAt)}`;
    return el("button", { type: "button", "aria-label": `${t("ask")} ${row.sourceId}`, onclick: () => ask(row) }, t("ask"));
  }
  if (name === "contact") return value ? el("a", { href: `tel:${value.replace(/[^+0-9]/g, "")}` }, value) : "—";
  if (name === "reason") return t("conflictReasons")[value] || value;
  if (name === "answerText") return row.answer ? `${t("answers")[row.answer] || row.answer}：${value || ""}` : "—";
  if (name === "region") return regionName(value);
  if (name === "scene") return placeName(value);
  if (name === "status") return t("status")[value] || value;
  if (name === "notice") return value ? t("notice")[value] : "—";
  if (name === "offeredResult" || name === "storedResult") return statement(value, row[name.replace("Result", "At")]);
  if (name === "reasons") return value.join(" ") || "—";
  if (name === "declared") return t(value ? "yes" : "no");
  if (name === "counterExample") return both(value);
  if (/At$|From$/.test(name)) return moment(value);
  if (/Share$/.test(name)) return `${(value * 100).toFixed(1)}%`;
  return value === null || value === undefined ? "—" : String(value);
}

const statement = (result, at) => at || result ? `${result ? t("result")[result] || result : t("waiting")}${at ? ` ${moment(at)}` : ""}` : "—";

function table(caption, columns, lines) {
  const isNumber = value => typeof value === "number";
  const head = columns.map(([title, number]) => el("th", { scope: "col", class: number && "number" }, title));
  // A row is named by its first cell, or by the one after what is done about it.
  const body = lines.map(line => el("tr", {}, ...line.map((inside, at) => {
    const kind = columns[at][1] ? "number" : typeof inside === "string" && inside.length > 60 ? "text" : null;
    const heads = at === (columns[0][2] ? 1 : 0);
    return el(heads ? "th" : "td", { class: kind, scope: heads ? "row" : null }, isNumber(inside) ? String(inside) : inside);
  })));
  return el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
}

function draw() {
  spoken();
  set("title", t("title"));
  $("leave").textContent = t("leave");
  $("enter").hidden = !!token;
  $("supervisor").hidden = $("leave").hidden = !token;
  set("sample", t("sample"));
  set("tokenGo", t("go"));
  $("token").placeholder = t("token");
  $("token").setAttribute("aria-label", t("token"));
  if (!$("hint").textContent) set("hint", t("hint"));
  if (!token) return;
  $("views").setAttribute("aria-label", t("title"));
  $("views").replaceChildren(...Object.keys(VIEWS).map(name => el("button", { type: "button", "data-view": name, "aria-pressed": String(name === view), onclick: () => choose(name) }, t("views")[name])));
  for (const name of ["region", "first", "last", "group"]) $(`${name}Label`).firstElementChild.textContent = t(name);
  $("regionLabel").hidden = !VIEWS[view].region;
  $("firstLabel").hidden = $("lastLabel").hidden = !VIEWS[view].days;
  $("groupLabel").hidden = view !== "figures";
  options($("region"), [["", VIEWS[view].region === "store" ? t("nation") : t("all")], ...regions.filter(one => view === "figures" || view === "refusals" || one.onMesh).map(one => [one.code, both(one.name)])]);
  options($("group"), Object.entries(t("groups")));
  set("heading", t("views")[view]);
  set("lead", t("lead")[view]);
  set("csv", t("csv"));
  $("table").setAttribute("aria-label", t("views")[view]);
  drawData();
  if (drawSheet) drawSheet();
}

function options(select, pairs) {
  const chosen = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => el("option", { value }, text)));
  select.value = pairs.some(([value]) => value === chosen) ? chosen : pairs[0][0];
}

function drawData() {
  const chart = $("chart");
  chart.replaceChildren();
  chart.hidden = view !== "figures";
  let drawn;
  if (view === "figures") {
    const groups = grouped();
    if (groups.length) {
      const picture = el("div", {});
      picture.innerHTML = bars(groups.slice(0, 40), Math.max(280, chart.clientWidth));
      chart.append(legend(), picture);
    }
    drawn = table(t("groups")[$("group").value], [[t("groups")[$("group").value]], ...ALL.map(name => [t("measures")[name], true])],
      groups.slice(0, MOST_ROWS).map(one => [one.label, ...ALL.map(name => one[name])]));
    if (groups.length > MOST_ROWS) $("note").textContent = t("more");
  } else {
    const columns = COLUMNS[view];
    drawn = table(t("views")[view], columns.map(name => [t("columns")[name], rows.length && typeof rows[0][name] === "number", name === "settle" || name === "ask"]),
      rows.slice(0, MOST_ROWS).map(row => columns.map(name => cell(name, row))));
    if (cut) $("note").textContent = t("more");
  }
  if (!rows.length) drawn.tBodies[0].append(el("tr", {}, el("td", { colspan: String(drawn.tHead.rows[0].cells.length) }, t("none"))));
  $("table").replaceChildren(drawn);
}

function choose(name) {
  view = name;
  kept.set("view", name);
  load();
  $("heading").focus({ preventScroll: true });
}

async function reopen(row) {
  try {
    const reopened = await (await post("/v1/supervision/refusals:reopen", { refusalId: row.refusalId })).json();
    openSheet(() => drawReopened(reopened));
  } catch (error) {
    $("note").textContent = t("trouble") + (error.message || "");
  }
}

function openSheet(draws) {
  drawSheet = draws;
  drawSheet();
  if (!$("sheet").open) $("sheet").showModal();
}

// One conflict, both statements of it, and what a supervisor decides.
function settling(row) {
  const store = $("region").value;
  const cause = el("textarea", { id: "cause", maxlength: "500", rows: "3", required: true });
  const said = el("p", { role: "alert" });
  const decide = settlement => async () => {
    if (!cause.reportValidity()) return;
    try {
      await post("/v1/supervision/conflicts:settle", { conflictId: row.conflictId, settlement, cause: cause.value, ...(store ? { store } : {}) });
      $("sheet").close();
      await load();
      $("note").textContent = `${t("settled")} ${row.sourceId}`;
    } catch (error) {
      said.textContent = t("trouble") + (error.message || "");
    }
  };
  openSheet(() => {
    set("sheetTitle", `${t("settle")} ${row.sourceId}`);
    set("close", t("close"));
    $("sheetBody").replaceChildren(
      facts([
        [t("region"), regionName(row.region)], [t("columns").laboratory, row.laboratory || "—"], [t("columns").reason, t("conflictReasons")[row.reason] || row.reason],
        [t("columns").storedResult, statement(row.storedResult, row.storedAt)], [t("columns").offeredResult, statement(row.offeredResult, row.offeredAt)],
        [t("columns").firstOfferedAt, `${moment(row.firstOfferedAt)} ×${row.times}`],
      ]),
      el("p", { class: "soft" }, row.reason === "PERSON_CONFLICT" ? t("becomesTheirs") : t("graver")),
      el("label", { for: "cause" }, t("cause")), cause,
      el("div", { class: "row" }, el("button", { type: "button", "data-settle": "STORED_KEPT", onclick: decide("STORED_KEPT") }, t("keep")),
        el("button", { type: "button", "data-settle": "OFFERED_TAKEN", onclick: decide("OFFERED_TAKEN") }, t("take"))),
      said,
    );
  });
  cause.focus();
}

async function ask(row) {
  try {
    const asks = { region: row.region, sourceId: row.sourceId };
    const answer = await (await post("/v1/supervision/overdueSamples:requestResult", asks)).json();
    Object.assign(row, { askedAt: answer.askedAt, answer: answer.answer, answerText: answer.answerText });
    drawData();
    $("note").textContent = `${t(answer.created ? "askedNow" : "askedBefore")} ${row.sourceId}`;
    $("heading").focus({ preventScroll: true });
  } catch (error) {
    $("note").textContent = t("trouble") + (error.message || "");
  }
}

const facts = pairs => el("dl", {}, ...pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
const listed = texts => texts.length ? el("ul", {}, ...texts.map(text => el("li", {}, text))) : el("p", {}, t("noReasons"));

function drawReopened({ refusal, code, same }) {
  set("sheetTitle", t("reopened"));
  set("close", t("close"));
  // Of reasons with the same words, the first one has them.
  const reasons = [...code.reasons, ...code.furtherReasons].filter(one => one.text).map(one => both(one.text));
  $("sheetBody").replaceChildren(
    el("p", { class: "same", "data-same": String(same) }, `${same ? "＝ " : "≠ "}${t(same ? "same" : "differs")}`),
    facts([
      [t("region"), regionName(refusal.region)], [t("columns").scene, placeName(refusal.scene)], [t("at"), moment(refusal.at)],
      [t("knownAt"), moment(refusal.knownAt)], [t("scope"), t("scopes")[refusal.scope] || refusal.scope], [t("policy"), refusal.policyId],
    ]),
    el("div", { class: "verdict" }, el("h3", {}, t("then")), el("p", {}, t("status")[refusal.status] || refusal.status, refusal.notice ? `（${t("notice")[refusal.notice]}）` : ""),
      el("p", { class: "soft" }, refusal.reasons.join(" ")), refusal.silentSources.length ? el("p", {}, t("silent") + refusal.silentSources.map(one => one === "nation" ? t("nation") : regionName(one)).join(" ")) : null),
    el("div", { class: "verdict" }, el("h3", {}, t("again")), el("p", {}, t("status")[code.status] || code.status, code.notice ? `（${t("notice")[code.notice]}）` : ""),
      el("h4", {}, t("grounds")), listed(code.grounds.map(one => both(one.text))), el("h4", {}, t("reasonsTitle")), listed(reasons)),
  );
}

async function download() {
  try {
    const blob = await (await reply(query({ format: "CSV" }))).blob(), link = el("a", { href: URL.createObjectURL(blob), download: `${VIEWS[view].path}-${isoDay(0)}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    $("note").textContent = t("trouble") + (error.message || "");
  }
}

function signOut(why = "") {
  token = null;
  drawSheet = null;
  asked += 1;
  kept.set("token", null);
  $("hint").textContent = why;
  draw();
}

async function signIn(given) {
  token = given;
  kept.set("token", given);
  $("hint").textContent = "";
  await load();
  $("heading").focus({ preventScroll: true });
}

async function begin() {
  view = kept.get("view") in VIEWS ? kept.get("view") : "figures";
  $("first").value = isoDay(6);
  $("last").value = isoDay(0);
  draw();
  try {
    const answer = await (await fetch("/v1/regions?pageSize=100")).json();
    regions = answer.regions.map(one => ({ code: one.region, name: one.displayName, onMesh: one.onMesh }));
  } catch {}
  draw();
  if (token) load();
}

$("language").addEventListener("click", () => switchLanguage(() => { if (!token) $("hint").textContent = ""; draw(); }));
$("leave").addEventListener("click", () => signOut());
$("sample").addEventListener("click", async () => {
  try {
    await signIn((await (await post("/v1/sampleSupervisor:signIn", {})).json()).token);
  } catch (error) {
    $("hint").textContent = t("trouble") + (error.message || "");
  }
});
$("tokenForm").addEventListener("submit", event => {
  event.preventDefault();
  const given = $("token").value.trim();
  $("token").value = "";
  if (given) signIn(given);
});
$("filters").addEventListener("submit", event => event.preventDefault());
for (const id of ["region", "first", "last"]) $(id).addEventListener("change", load);
$("group").addEventListener("change", draw);
$("csv").addEventListener("click", download);
$("close").addEventListener("click", () => $("sheet").close());
$("sheet").addEventListener("close", () => { drawSheet = null; });
let resizing = 0;
addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => { if (token && view === "figures") drawData(); }, 150); });
begin();
