// Signing in, choosing, and what begins when the page is opened.
const keepSigned = () => common.set("signed", signed && { ...signed, region: $("region").value, scene: $("scene").value });

async function token(document) {
  return (await call("/v1/samplePeople:signIn", { document })).token;
}

async function enter(chosen) {
  try {
    signed = { token: await token(chosen.document), self: chosen, person: chosen };
  } catch (error) {
    $("hint").textContent = trouble(error);
    return;
  }
  last = null;
  $("region").value = chosen.region;
  $("scene").value = "";
  keepSigned();
  show();
  $("face").focus({ preventScroll: true });
  ask();
  learnNotices();
}

// A token that ended is had again where one tap gives it, else the person signs in anew.
async function renewed() {
  try {
    signed = { ...signed, token: await token(signed.self.document) };
    keepSigned();
    return true;
  } catch (error) {
    if (!error || !error.reason) throw error;
    leave();
    $("hint").textContent = t("signedOut");
    throw error;
  }
}

function leave() {
  forgetDevice();
  signed = last = null;
  common.set("signed", null);
  common.set("last", null);
  show();
}

// Of whom or where the code is asked for changed: another's is not shown for it.
function changed() {
  last = null;
  failedAt = 0;
  keepSigned();
  family();
  draw();
  ask();
}

async function turn(scope) {
  try {
    await call("/v1/healthCode:switchScope", { document: person().document, region: $("region").value, scope, requestId: requestId() });
    if (last) last.asked -= renewal();
    await ask();
  } catch (error) {
    $("note").textContent = error && error.reason ? t("noAnswer") + saidOf(error) : t("unreachable");
  }
}

function family() {
  const members = signed && signed.self.dependants || [];
  $("family").hidden = !members.length;
  if (!members.length) return;
  $("family").setAttribute("aria-label", t("family"));
  $("family").replaceChildren(...[signed.self, ...members].map(one => {
    const chosen = JSON.stringify(one.document) === JSON.stringify(person().document);
    return el("button", { type: "button", "aria-pressed": String(chosen), onclick: () => {
      signed.person = one;
      changed();
      $("family").querySelector("[aria-pressed=true]").focus();
    } }, one === signed.self ? t("self") : both(one.name));
  }));
}

function words() {
  spoken();
  for (const id of ["title", "who", "docs", "venue", "close", "leave"]) set(id, t(id));
  set("hint", people.length ? t("hint") : t("none"));
  for (const id of ["region", "scene", "scopes"]) $(id).setAttribute("aria-label", t(id));
  const scene = $("scene").value, region = $("region").value;
  $("scene").replaceChildren(...sceneOptions(scene));
  $("region").replaceChildren(...Object.values(regions).map(one => el("option", { value: one.region }, both(one.displayName))));
  if (region) $("region").value = region;
  $("people").replaceChildren(...people.map(one => el("button", { type: "button", onclick: () => enter(one) },
    el("b", {}, both(one.name)), el("br"), el("span", { class: "soft" }, both(one.shows)))));
  $("actions").replaceChildren(...[["why", why], ["where", () => where($("scene").value)], ["results", results], ["missing", missing], ["looks", looks],
    ["notices", notices]].filter(([key]) => key !== "notices" || pushKey)
    .map(([key, action]) => el("button", { type: "button", "data-action": key, onclick: action }, t(key))));
  $("scopes").replaceChildren(...["LOCAL", "NATIONAL"].map(key => el("button", { type: "button", "data-scope": key, onclick: () => turn(key) }, t(key))));
  $("note").textContent = "";
  drawn = "";
  family();
  draw();
}

function show() {
  $("enter").hidden = !!signed;
  $("holder").hidden = $("leave").hidden = !signed;
  family();
  draw();
}

// What the device knows is shown at once; what is new comes after.
function restore() {
  regions = common.get("regions") || {};
  people = common.get("people") || [];
  words();
  const kept = common.get("signed");
  if (!kept) return show();
  signed = kept;
  $("region").value = kept.region;
  $("scene").value = kept.scene || "";
  const old = common.get("last");
  if (old && old.key === JSON.stringify(question())) last = old;
  show();
}

async function learn() {
  try {
    const known = {};
    for (const one of (await call("/v1/regions")).regions) known[one.region] = one;
    const reply = await fetch("/v1/samplePeople");
    const sample = reply.ok ? (await reply.json()).people : [];
    if (JSON.stringify([known, sample]) === JSON.stringify([regions, people])) return;
    regions = known;
    people = sample;
    common.set("regions", regions);
    common.set("people", people);
    words();
    if (signed) $("region").value = common.get("signed").region;
  } catch {}
}

$("language").addEventListener("click", () => switchLanguage(words));
$("leave").addEventListener("click", leave);
$("close").addEventListener("click", () => $("sheet").close());
for (const id of ["region", "scene"]) $(id).addEventListener("change", changed);
restore();
installed(() => $("sheet").open);
learn().then(() => { if (!signed) show(); ask(); learnNotices(); });
setInterval(tick, 250);
