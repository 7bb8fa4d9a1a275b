// The code on the screen: what was answered last, how old it is, and the face that it has now.
const RENEW = 90000, LIFE = 180000, RETRY = 4000;
let regions = {}, people = [], signed = null, last = null, asking = false, failedAt = 0, shift = 0, drawn = "";
const now = () => Date.now() + shift;
const person = () => signed && signed.person;
const place = code => code === "nation" ? t("nation") : regions[code] ? both(regions[code].displayName) : code;
const when = instant => instant ? instant.slice(0, 10) + " " + instant.slice(11, 16) : t("unknown");
// A health code's own name is Chinese.
const codeName = region => !region ? "" : language === "zh" && region.healthCode || both(region.displayName);

async function call(path, body, token = signed && signed.token) {
  const headers = token ? { authorization: "Bearer " + token } : {};
  const asked = body === undefined ? { headers }
    : { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
  const reply = await fetch(path, asked);
  const answer = await reply.json();
  if (!reply.ok) throw answer;
  return answer;
}

// An answer that is no answer of ours is the same as none.
const trouble = error => error && error.reason ? saidOf(error) : t("unreachable");

function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = bytes[6] & 15 | 64;
  bytes[8] = bytes[8] & 63 | 128;
  const hex = [...bytes].map(one => one.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

const question = () => ({
  document: person().document, region: $("region").value, ...($("scene").value ? { scene: $("scene").value } : {}),
});

// Code and pass are one answer. Until it comes the last one stays.
async function ask() {
  if (!signed || asking) return;
  asking = true;
  const asked = question(), key = JSON.stringify(asked);
  try {
    let answer, pass = null;
    const began = performance.now();
    try {
      pass = await call("/v1/passes:issue", asked);
      answer = pass.code;
    } catch (error) {
      if (!error || !error.reason) throw error;
      if (/^(TOKEN_|UNAUTHENTICATED)/.test(error.reason) && (await renewed())) pass = await call("/v1/passes:issue", asked);
      answer = pass ? pass.code : await call("/v1/healthCode:show", asked);
    }
    if (!signed || key !== JSON.stringify(question())) return;
    if (pass) {
      shift = Date.parse(pass.issuedAt) - Date.now() + Math.min(1000, performance.now() - began);
      if (Math.abs(shift) < 5000) shift = 0;
    }
    last = { key, code: answer, pass, kept: kept(key, answer, pass), spread: Math.random(), at: now() - (answer.age || 0) * 1000, asked: now() };
    common.set("last", last);
    failedAt = 0;
    $("note").textContent = Math.abs(shift) > 120000 ? t("clockOff") : "";
  } catch (error) {
    if (!signed) return;
    failedAt = now();
    $("note").textContent = trouble(error);
  } finally {
    asking = false;
    draw();
    // What was chosen while this was on its way is asked at once.
    if (signed && key !== JSON.stringify(question())) ask();
  }
}

// A pass without its picture was left so by a busy gateway: the one before, while it lives, still says the same.
function kept(key, code, pass) {
  if (!pass || pass.qrSvg || !last || last.key !== key) return null;
  const same = ["status", "colour", "validUntil"].every(name => code[name] === last.code[name]);
  return same ? pictured() : null;
}

const pictured = () => last.pass && last.pass.qrSvg ? last.pass : last.kept;

function state() {
  if (!last) return "NONE";
  const code = last.code, at = now();
  if (code.validUntil && at >= Date.parse(code.validUntil)) return "EXPIRED";
  if (code.freshUntil && at >= Date.parse(code.freshUntil) && at - last.asked > 10000) return "EXPIRED";
  if (code.freshness === "STALE" || at - last.asked > LIFE) return "STALE";
  return last.pass && at >= Date.parse(last.pass.expiresAt) ? "STALE" : "LIVE";
}

function draw() {
  if (!signed) return;
  const face = $("face"), code = last && last.code, now_ = now(), state_ = state(), live = state_ === "LIVE";
  const region = regions[$("region").value], pass = last && last.pass;
  set("name", codeName(region));
  set("holderName", live && pass ? pass.maskedName : "");
  set("clock", new Date(now_).toLocaleTimeString("en-GB", { timeZone: "Asia/Shanghai" }));
  face.dataset.state = state_;
  face.dataset.colour = live ? code.colour : "";
  const picture = live && pass && pictured(), shows = !!picture && now_ < Date.parse(picture.expiresAt);
  face.classList.toggle("bare", live && !shows);
  const shape = live ? code.colour : state_;
  if (drawn !== shape) {
    drawn = shape;
    $("shape").innerHTML = SHAPES[shape] || "";
  }
  $("scopes").hidden = !(region && region.scopeSwitch);
  for (const one of $("scopes").children) one.setAttribute("aria-pressed", String(!!code && one.dataset.scope === code.scope));
  const image = $("image");
  if (!code) {
    for (const id of ["days", "until", "count", "life"]) set(id, "");
    set("word", failedAt ? "—" : "…");
    set("until", failedAt ? "" : t("asking"));
    image.style.visibility = "hidden";
    return;
  }
  const status = t("status")[code.status] || code.status, colour = t("colour")[code.colour] || "";
  set("word", live ? (code.status === "RECOGNISED" || code.status === "NOT_RECOGNISED" ? colour : status)
    : t(state_ === "STALE" ? "stale" : "expired"));
  $("word").classList.toggle("long", $("word").textContent.length > (language === "zh" ? 5 : 11));
  days(live, code, $("word").textContent === colour ? status : colour);
  set("until", !live ? span(now_ - last.at, 2) + t("ago") + status + t("comma") + colour
    : code.validUntil ? t("until") + when(code.validUntil) : because(code));
  set("count", live && code.validUntil ? t("left") + span(Date.parse(code.validUntil) - now_) : "");
  if (shows && image.dataset.text !== picture.text) {
    image.dataset.text = picture.text;
    image.src = "data:image/svg+xml," + encodeURIComponent(picture.qrSvg);
  }
  image.alt = t("qr");
  image.style.visibility = shows ? "visible" : "hidden";
  const next = Math.max(0, Math.ceil((last.asked + renewal() - now_) / 1000));
  set("life", !live ? "" : failedAt ? t("offline").replace("{}", span(now_ - last.asked, 1)) : !pass ? t("noPass") : t(shows ? "life" : "busy").replace("{}", next));
}

// Without an end, what stands in the way: the guard reads it from the same place.
function because(code) {
  const first = [...code.grounds, ...code.reasons].find(one => one.text);
  return first ? both(first.text) : "";
}

// Beside the colour of a recognised code the number of days, which a guard asks for. Beside a positive it would be taken
// for one: there the other word stands.
function days(live, code, beside) {
  const element = $("days"), counted = live && code.status === "RECOGNISED" && code.daysSinceTest != null;
  const key = [live, counted && code.daysSinceTest, beside, language].join();
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  if (!counted) element.replaceChildren(live ? beside : t("doNot"));
  else element.replaceChildren(t("days")[0], el("b", {}, String(code.daysSinceTest)), t("days")[1]);
}

function renewal() {
  const pass = last.pass;
  if (pass && pass.leftOut) return pass.leftOut.retryAfter * 1000 * (1 + (last.spread || 0));
  return pass ? Math.min(RENEW, (Date.parse(pass.expiresAt) - Date.parse(pass.issuedAt)) / 2) : RENEW;
}

function tick() {
  if (!signed) return;
  draw();
  if (!asking && (!last || now() - last.asked >= renewal()) && now() - failedAt >= RETRY) ask();
}
