const kept = storage("gate.");
const SHOWN = { alone: 8000, queue: 4000 }, CLOCK = 120000, SEEN_FOR = 3600;
let regions = kept.get("regions") || [], gate = null, trust = kept.get("trust"), clockOff = false, online = false, otherRoot = false;
let shown = null, sound = null, fading = 0, wake = null, typed = "", busy = Promise.resolve();
const bytes = text => Uint8Array.from(atob(text), one => one.charCodeAt(0));
const today = () => new Date().toLocaleDateString("en-CA", { timeZone: "Asia/Shanghai" });
const when = seconds => new Date(seconds * 1000).toLocaleString("en-CA",
  { timeZone: "Asia/Shanghai", hour12: false, month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" }).replace(",", "");
// How many, of today: nobody's name, and no list.
let counts = kept.get("counts");
if (!counts || counts.day !== today()) counts = { day: today(), passed: 0, refused: 0 };

// What this gate saw stays seen when it moves to another place, and when the page is opened again.
function seenBefore() {
  const since = Date.now() / 1000 - SEEN_FOR;
  return new Map((kept.get("seen") || []).filter(([, at]) => at >= since));
}

// The first root that a gate was given, and then those that a bundle names which one of them signed.
function rootsKept() {
  const first = kept.get("root");
  return kept.get("roots") || (first ? [first] : []);
}

function newGate(roots) {
  return new Gate({ region: $("region").value, scene: Number($("scene").value), roots: roots.map(bytes) });
}

// Returns the roots after a bundle, or null where none of those that are believed signed it.
async function rootsAfter(roots, bundle) {
  const taker = newGate(roots);
  try {
    await taker.take(bytes(bundle));
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
  return taker.roots.map(root => btoa(String.fromCharCode(...root)));
}

async function rebuild() {
  const seen = gate ? gate.seen : seenBefore(), roots = rootsKept();
  gate = newGate(roots);
  gate.seen = seen;
  if (!trust || roots.length === 0) return;
  try {
    await gate.take(bytes(trust.bundle));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    trust = null;
  }
}

async function fetchTrust() {
  try {
    const began = Date.now(), reply = await fetch("/v1/trustBundle", { cache: "no-store" }), next = await reply.json();
    // A bundle that the device kept is as good as its age, and tells nothing about the clock.
    const fromKept = reply.headers.get("hutong-kept") !== null;
    online = reply.ok && !fromKept;
    if (reply.ok && (!fromKept || !trust)) {
      const believed = rootsKept(), roots = await rootsAfter(believed.length ? believed : [next.root], next.bundle);
      otherRoot = roots === null;
      if (!otherRoot) {
        clockOff = online && Math.abs(Date.parse(next.madeAt) - (began + Date.now()) / 2) > CLOCK;
        kept.set("roots", roots);
        kept.set("trust", next);
        trust = next;
        busy = busy.then(rebuild);
        await busy;
      }
    }
  } catch {
    online = false;
  }
  draw();
}

async function check(text) {
  if ($("scene").value === "" || !$("region").value) return show({ kind: "REFUSED", words: [t("chooseFirst"), ""] });
  let result;
  try {
    if (clockOff) throw new Refused("CLOCK_OFF");
    result = { pass: await gate.check(text) };
    kept.set("seen", [...gate.seen].slice(-500));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    result = { reason: error.reason };
  }
  const good = !!result.pass && result.pass.colour === 1;
  if (counts.day !== today()) counts = { day: today(), passed: 0, refused: 0 };
  counts[good ? "passed" : "refused"] += 1;
  kept.set("counts", counts);
  show(result);
  signal(good);
}

// The answer to one person is not left standing for the next.
function show(result) {
  shown = result;
  drawAnswer();
  draw();
  clearTimeout(fading);
  fading = setTimeout(() => { shown = null; drawAnswer(); }, SHOWN[document.body.classList.contains("queue") ? "queue" : "alone"]);
}

function drawAnswer() {
  const pass = shown && shown.pass, box = $("answer");
  const kind = !shown ? "" : pass ? COLOURS[pass.colour] || "GREY" : "REFUSED";
  let words = [t("ready"), ""];
  if (pass) {
    const status = t("status")[pass.word] || "";
    const line = [t("colour")[kind], status, pass.until ? t("until") + when(pass.until) : ""].filter(Boolean).join(" · ");
    words = [kind === "GREEN" ? t("pass") : t("stop"), line];
  } else if (shown) {
    words = shown.words || t("why")[shown.reason] || t("unreadable");
    if (shown.reason) words = [words[0], t("stop") + " · " + words[1]];
  }
  box.dataset.kind = kind;
  box.dataset.reason = shown && shown.reason || "";
  $("shape").innerHTML = SHAPES[kind] || "";
  $("shape").toggleAttribute("hidden", !shown);
  set("word", words[0]);
  set("who", pass ? [pass.initials, pass.born ? t("born") + pass.born : ""].filter(Boolean).join("　") : "");
  set("detail", words[1]);
}

function draw() {
  set("keys", otherRoot ? t("root") : trust
    ? t("keys") + span(Date.now() - Date.parse(trust.madeAt), 1) + t("ago") + (online ? "" : t("offline")) : t("noKeys"));
  set("counts", t("passed") + counts.passed + t("refused") + counts.refused);
}

function signal(good) {
  try {
    if (navigator.vibrate) navigator.vibrate(good ? 80 : [200, 100, 200]);
    sound = sound || new AudioContext();
    for (const at of good ? [0] : [0, 0.25]) {
      const tone = sound.createOscillator(), volume = sound.createGain();
      tone.frequency.value = good ? 1046 : 220;
      tone.type = good ? "sine" : "square";
      volume.gain.value = 0.2;
      tone.connect(volume).connect(sound.destination);
      tone.start(sound.currentTime + at);
      tone.stop(sound.currentTime + at + 0.15);
    }
  } catch {}
}

function words() {
  spoken();
  for (const id of ["title", "go", "camera", "reset"]) set(id, t(id));
  for (const id of ["region", "scene", "text"]) $(id).setAttribute("aria-label", t(id));
  $("text").placeholder = t("text");
  const queue = document.body.classList.contains("queue");
  set("queue", t(queue ? "endQueue" : "queue"));
  $("queue").setAttribute("aria-pressed", String(queue));
  const region = $("region").value || kept.get("region") || "110000", scene = $("scene").value || kept.get("scene") || "";
  $("region").replaceChildren(...regions.map(one => el("option", { value: one.region }, both(one.displayName))));
  $("region").value = region;
  $("scene").replaceChildren(el("option", { value: "" }, t("choose")), el("option", { value: "0" }, t("general")),
    ...Object.keys(SCENES).map((key, number) => el("option", { value: String(number + 1) }, sceneName(key))));
  $("scene").value = scene;
  drawAnswer();
  draw();
}

let stopCamera = null;
async function camera() {
  if (stopCamera) stopCamera();
  $("video").hidden = false;
  stopCamera = await scan($("video"), scanned);
}

function scanned(text) {
  if (text) busy = busy.then(() => check(text));
}

// One person after the other: the answer fills the screen, and the screen stays on.
async function queue() {
  const on = document.body.classList.toggle("queue");
  words();
  $("answer").focus();
  try {
    if (on) wake = await navigator.wakeLock.request("screen");
    else if (wake) await wake.release();
  } catch {}
}

// A USB scanner is a keyboard: wherever the focus is, what it types and ends with Enter is a pass.
document.addEventListener("keydown", event => {
  if (event.target === $("text") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter") {
    if (!typed.startsWith("HC1:")) { typed = ""; return; }
    event.preventDefault();
    scanned(typed);
    typed = "";
  } else if (event.key.length === 1) {
    typed = (typed + event.key).slice(-5000);
    const start = typed.lastIndexOf("HC1:");
    if (start > 0) typed = typed.slice(start);
    // Its spaces press no button, its letters choose nothing in a list.
    if (typed.startsWith("HC1:")) event.preventDefault();
  } else if (event.key === "Escape" && document.body.classList.contains("queue")) queue();
});
$("form").addEventListener("submit", event => {
  event.preventDefault();
  const text = $("text").value;
  $("text").value = "";
  $("text").focus();
  scanned(text);
});
for (const id of ["region", "scene"]) $(id).addEventListener("change", () => {
  kept.set(id, $(id).value);
  shown = null;
  drawAnswer();
  busy = busy.then(rebuild);
});
$("language").addEventListener("click", () => switchLanguage(words));
$("queue").addEventListener("click", queue);
$("reset").addEventListener("click", () => {
  counts.passed = counts.refused = 0;
  kept.set("counts", counts);
  draw();
});
if (canScan()) {
  $("camera").hidden = false;
  $("camera").addEventListener("click", () => camera().catch(() => { $("video").hidden = true; }));
}
installed(() => shown !== null || $("text").value !== "");
words();
busy = busy.then(rebuild);
(async () => {
  try {
    regions = (await (await fetch("/v1/regions")).json()).regions.map(({ region, displayName }) => ({ region, displayName }));
    kept.set("regions", regions);
    words();
    busy = busy.then(rebuild);
  } catch {}
  await fetchTrust();
  setInterval(fetchTrust, 60000);
  setInterval(draw, 1000);
})();
