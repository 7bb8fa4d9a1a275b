// One tap from the code: why, where to, results, what is missing, who looked.
// By column and row, with the letters of ISO 3166-2:CN.
const TILES = {650000: [0, 1, "XJ"], 540000: [0, 4, "XZ"], 630000: [1, 3, "QH"], 620000: [2, 2, "GS"], 640000: [3, 2, "NX"],
  150000: [4, 1, "NM"], 230000: [7, 0, "HL"], 220000: [7, 1, "JL"], 210000: [6, 1, "LN"], 110000: [5, 1, "BJ"],
  120000: [6, 2, "TJ"], 130000: [5, 2, "HE"], 140000: [4, 2, "SX"], 370000: [6, 3, "SD"], 610000: [3, 3, "SN"],
  410000: [4, 3, "HA"], 340000: [5, 3, "AH"], 320000: [7, 3, "JS"], 310000: [7, 4, "SH"], 510000: [2, 4, "SC"],
  500000: [3, 4, "CQ"], 420000: [4, 4, "HB"], 360000: [5, 4, "JX"], 330000: [6, 4, "ZJ"], 530000: [2, 5, "YN"],
  520000: [3, 5, "GZ"], 430000: [4, 5, "HN"], 350000: [6, 5, "FJ"], 710000: [7, 5, "TW"], 450000: [3, 6, "GX"],
  440000: [4, 6, "GD"], 810000: [5, 6, "HK"], 820000: [4, 7, "MO"], 460000: [3, 7, "HI"]};
const GLYPH = {GREEN: "●", YELLOW: "▲", ORANGE: "◆", RED: "■", GREY: "○"};

function sheet(title, ...inside) {
  set("sheetTitle", title);
  $("sheetBody").replaceChildren(...inside.filter(Boolean));
  if (!$("sheet").open) $("sheet").showModal();
}

// An answer that comes when its sheet was closed, or another one was opened, is shown nowhere.
let opened = 0;
async function openSheet(title, make) {
  const own = ++opened;
  let content;
  sheet(title, el("p", { role: "status" }, t("asking")));
  try {
    content = await make();
  } catch (error) {
    content = [el("p", { role: "alert" }, error && error.reason ? t("noAnswer") + saidOf(error) : t("unreachable"))];
  }
  if (own === opened && $("sheet").open) sheet(title, ...content);
}

const summary = code => t("status")[code.status] + " · " + t("colour")[code.colour];
const listed = (title, items) => items.length ? [el("h2", {}, title), el("ul", {}, ...items.map(one => el("li", {}, one)))] : [];
const silentOf = coverage => coverage.filter(one => one.status !== "OK");

function why() {
  const code = last && last.code;
  if (!code) return;
  const reasons = [...code.reasons, ...code.furtherReasons].filter(one => one.text).map(one => both(one.text));
  sheet(t("why"), el("p", {}, el("strong", {}, summary(code))),
    code.notice === "REFUSAL" && el("p", {}, t("refusal")),
    code.nationalWouldRecognise && el("p", {}, t("national")),
    code.freshness === "STALE_SOURCE" && el("p", {}, t("silentRegion")),
    ...listed(t("grounds"), code.grounds.map(one => both(one.text))),
    ...listed(t("short"), [...new Set(reasons)]),
    el("h2", {}, t("asked")),
    el("p", { class: "soft" }, code.coverage.map(one => place(one.source) + (one.status === "OK" ? " ✓" : " ✗ " + t("silent"))).join(t("comma"))),
    silentOf(code.coverage).length > 0 && el("p", {}, t("notEveryone")),
    el("p", { class: "soft" }, t("rules") + " " + code.policy.id));
}

function where(chosen) {
  openSheet(t("where"), async () => {
    const answer = await call("/v1/destinations:check", { document: person().document, ...(chosen ? { scene: chosen } : {}) });
    const by = {}, texts = {};
    for (const one of answer.destinations) {
      by[one.region.region] = one.summary;
      if (one.summary && one.summary.text) texts[one.summary.reason] = one.summary.text;
    }
    const said = el("p", { role: "status" });
    const describe = code => place(code) + t("colon") + (by[code]
      ? summary(by[code]) + (by[code].validUntil ? " · " + t("until") + when(by[code].validUntil) : "") : "—");
    const full = code => describe(code) + (by[code] ? t("stop") + both(by[code].text || texts[by[code].reason]) : "");
    const short = code => language === "zh" ? regions[code].displayName.zh.replace("黑龙江", "龙江").slice(0, 2) : TILES[code][2];
    const tiles = Object.entries(TILES).filter(([code]) => regions[code])
      .sort(([, a], [, b]) => a[1] - b[1] || a[0] - b[0]).map(([code, [column, row]]) => {
        const one = by[code];
        const tile = el("button", { type: "button", class: one && one.colour, "aria-label": describe(code),
          onclick: () => { said.textContent = full(code); } }, short(code), el("br"), one ? GLYPH[one.colour] || "" : "—");
        tile.style.gridColumn = column + 1;
        tile.style.gridRow = row + 1;
        return tile;
      });
    said.textContent = full($("region").value);
    const pick = el("select", { "aria-label": t("scene"), onchange: event => where(event.target.value) },
      ...sceneOptions(chosen));
    return [el("div", { class: "row" }, pick), el("div", { class: "tiles", role: "group", "aria-label": t("map") }, ...tiles), said];
  });
}

const sceneOptions = chosen => [["", t("anyScene")], ...Object.keys(SCENES).map(key => [key, sceneName(key)])]
  .map(([value, name]) => el("option", { value, selected: value === (chosen || "") }, name));

const listResults = () => call("/v1/results:list", { document: person().document, pageSize: 50 });

function times(record) {
  const said = [record.sampledAt && t("sampledAt") + when(record.sampledAt), record.reportedAt && t("reportedAt") + when(record.reportedAt)];
  return said.filter(Boolean).join(" · ") || t("unknown");
}

function laboratoryOf(answer, record) {
  const known = answer.laboratories.find(one => one.laboratory === record.laboratory);
  return { name: known ? both(known.displayName) : record.laboratory, contact: known && known.contact };
}

const telephone = contact => el("a", { class: "button", href: "tel:" + contact.replace(/[^+\d]/g, "") }, t("call") + contact);

// Who can correct it is the laboratory that reported it; what names it is its number there. What is written reaches its
// queue, and what it answers is shown here.
function wrong(record, laboratory, asked) {
  const original = record.origin && record.origin.sourceId ? record.origin : record;
  const own = asked.filter(one => one.region === original.region && one.sourceId === original.sourceId);
  const answers = el("ul", { class: "plain" }, ...own.map(correction));
  const details = el("details", { open: own.length > 0 }, el("summary", {}, t("wrong")), answers,
    correctionForm(record, original, made => {
      if (!own.some(one => one.id === made.id)) own.unshift(made);
      answers.replaceChildren(...own.map(correction));
    }),
    el("p", { class: "soft" }, t("quote"), el("code", { translate: "no" }, original.sourceId)),
    laboratory.contact ? telephone(laboratory.contact) : el("p", { class: "soft" }, t("noContact")));
  return details;
}

// What people wrote is of the language that they wrote it in.
const quoted = text => el("q", { lang: /[\u4e00-\u9fff]/.test(text) ? "zh-CN" : "en" }, text);

function correction(one) {
  const answer = one.answer;
  const item = el("li", {}, el("strong", {}, t("corrections")[one.kind]), one.text && t("colon"), one.text && quoted(one.text), el("div", { class: "soft" }, t("askedOn") + when(one.requestedAt)));
  if (answer) item.append(el("p", { class: "said" }, t("answers")[answer.answer].replace("{}", answer.correctedBy || answer.forwardedTo)
    + t("comma") + when(answer.answeredAt) + t("colon"), quoted(answer.text)));
  else item.append(el("p", {}, one.laterRevision ? t("newer") : t("waits")));
  return item;
}

function correctionForm(record, original, kept) {
  let request = requestId();
  const result = record.kind === "RESULT", kinds = Object.keys(t("corrections")).filter(kind => kind !== (result ? "RESULT_LATE" : "WRONG_RESULT"));
  const kind = el("select", { "aria-label": t("wrong") }, ...(result ? kinds : kinds.reverse()).map(value => el("option", { value }, t("corrections")[value])));
  const text = el("textarea", { "aria-label": t("say"), placeholder: t("say"), maxlength: 200, rows: 2 });
  const said = el("p", { role: "status", tabindex: "-1" }), send = el("button", {}, t("send"));
  // What changed is another request; what is sent again as it was is the same.
  for (const one of [kind, text]) one.addEventListener("input", () => { request = requestId(); });
  return el("form", { onsubmit: async event => {
    event.preventDefault();
    send.disabled = true;
    try {
      const answer = await call("/v1/corrections:request", { document: person().document, region: original.region,
        sourceId: original.sourceId, kind: kind.value, text: text.value.trim(), requestId: request });
      kept(answer.correctionRequest);
      said.textContent = "✓ " + t("sent");
      text.value = "";
      request = requestId();
    } catch (error) {
      const wrongs = error && error.violations || [];
      said.textContent = t("noAnswer") + (wrongs.length ? wrongs.map(one => both(one.message)).join(t("comma"))
        : error && error.reason ? saidOf(error) : t("notSent"));
    }
    send.disabled = false;
    said.focus();
  } }, kind, text, send, said);
}

// What was asked and answered stands beside the results; that it cannot be had does not hide them, and is said.
async function listCorrections() {
  try {
    const answer = await call("/v1/corrections:list", { document: person().document });
    return { asked: answer.correctionRequests, silent: silentOf(answer.coverage).length > 0 };
  } catch {
    return { asked: [], silent: true };
  }
}

function results() {
  openSheet(t("results"), async () => {
    const [answer, { asked, silent: unheard }] = await Promise.all([listResults(), listCorrections()]);
    const silent = silentOf(answer.coverage).length > 0;
    const items = answer.results.map(view => resultItem(view, laboratoryOf(answer, view.record), asked));
    return [silent && el("p", { role: "alert" }, t("notEveryone")), unheard && el("p", { role: "alert" }, t("unheard")),
      items.length ? el("ul", { class: "plain" }, ...items) : !silent && el("p", {}, t("none2")),
      el("button", { type: "button", "data-present": true, onclick: present }, t("present"))];
  });
}

function resultItem(view, laboratory, asked) {
  const record = view.record, region = $("region").value, here = regions[region];
  const kept = el("div", { class: "soft" });
  const standing = () => kept.replaceChildren(record.laboratory ? t("laboratory") + laboratory.name : "",
    view.copiedTo.length ? " · " + t("keptIn") + view.copiedTo.map(place).join(t("comma")) : "");
  standing();
  const word = record.kind === "SAMPLING" ? t("sampled") : t("result")[record.result] || record.result;
  const item = el("li", {}, el("strong", {}, word), " · ", t("from") + " " + place(view.originRegion),
    el("div", { class: "soft" }, times(record)), kept);
  if (record.kind === "RESULT") item.append(wrong(record, laboratory, asked));
  const elsewhere = view.originRegion !== region && record.region !== region && !view.copiedTo.includes(region);
  if (record.kind === "RESULT" && elsewhere && here && here.onMesh) item.append(claimButton(view, item, region, standing));
  if (certifiable(record))
    item.append(el("button", { type: "button", "data-certificate": true, onclick: () => certificate(record) }, t("certificate")));
  return item;
}

function claimButton(view, item, region, standing) {
  const record = view.record, request = requestId();
  const button = el("button", { type: "button", "data-claim": true, onclick: async () => {
    button.disabled = true;
    try {
      await call("/v1/results:claim", { document: person().document, region, originRegion: view.originRegion,
        originSourceId: record.origin ? record.origin.sourceId : record.sourceId, requestId: request });
      view.copiedTo.push(region);
      standing();
      const done = el("p", { role: "status", tabindex: "-1" }, "✓ " + t("claimed") + place(region));
      button.replaceWith(done);
      done.focus();
      if (last) last.asked -= renewal();
      ask();
    } catch (error) {
      button.disabled = false;
      item.append(el("p", { role: "alert" }, error && error.reason ? t("noAnswer") + saidOf(error) : t("unreachable")));
    }
  } }, t("claim") + place(region));
  return button;
}

// A sample that waits: since when, at which laboratory, whom to call.
function missing() {
  openSheet(t("missing"), async () => {
    const [answer, { asked, silent: unheard }] = await Promise.all([listResults(), listCorrections()]);
    const overdue = last && [...last.code.reasons, ...last.code.furtherReasons].some(one => one.code === "RESULT_OVERDUE");
    const items = answer.results.filter(view => view.record.kind === "SAMPLING").map(({ record, originRegion }) => {
      const laboratory = laboratoryOf(answer, record);
      return el("li", {}, el("strong", {}, t("sampled")), " · ", t("from") + " " + place(originRegion),
        el("div", {}, t("waiting") + span(now() - Date.parse(record.sampledAt || record.recordedAt), 2) + t("comma") + times(record)),
        el("div", {}, t("laboratory") + laboratory.name),
        overdue && el("p", {}, t("overdue")), wrong(record, laboratory, asked));
    });
    const silent = silentOf(answer.coverage);
    return [items.length ? el("ul", { class: "plain" }, ...items) : el("p", {}, t("nothingMissing")),
      unheard && el("p", { role: "alert" }, t("unheard")), ...listed(t("sources"), silent.map(one => place(one.source))),
      silent.length > 0 && el("p", { class: "soft" }, t("sourceHint"))];
  });
}

// One's own code is shown every few minutes: who does the same again is told once, with how often, so that others are seen.
function looks() {
  openSheet(t("looks"), async () => {
    const groups = [];
    for (let pages = 0, token = ""; pages < 5 && groups.length < 30; pages++) {
      const page = await call(`/v1/accesses?pageSize=100${token && "&pageToken=" + encodeURIComponent(token)}`);
      for (const one of page.accesses) {
        const text = t("colon") + (t("methods")[one.method] || one.method) + (one.outcome === "OK" ? "" : t("refused"));
        const group = groups.at(-1), who = caller(one.caller);
        if (group && group.who === who && group.text === text) { group.since = one.at; group.count++; } else groups.push({ who, text, count: 1, at: one.at, since: one.at });
      }
      if (!(token = page.nextPageToken)) break;
    }
    const items = groups.map(({ who, text, count, at, since }) => el("li", {}, el("strong", {}, who), text + (count > 1 ? ` × ${count}` : ""),
      el("div", { class: "soft" }, when(since) === when(at) ? when(at) : `${when(since)} – ${when(at)}`)));
    return items.length ? [el("p", {}, t("looked")), el("ul", { class: "plain" }, ...items)] : [el("p", {}, t("nobody"))];
  });
}

function caller(name) {
  const words = t("callers"), parts = name.split("/");
  if (words[parts[0]] && parts[0] !== "other") return words[parts[0]];
  if (parts[0] !== "region") return words.other;
  return parts[2] === "venue" ? words.venue + parts.slice(3).join("/") + t("comma") + place(parts[1]) : place(parts[1]) + words.system;
}
