// Messages to this device: opt-in, by person; whoever signs out is told no more.
let pushKey = null;
const canNotify = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
const told = () => common.get("notices") || [];
const named = () => JSON.stringify(person().document);
const isTold = () => told().includes(named()) && Notification.permission === "granted";

// The key that a subscription was made with; another one's messages would be refused.
const keyOf = one => btoa(String.fromCharCode(...new Uint8Array(one.options.applicationServerKey)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function device(make) {
  const { pushManager } = await navigator.serviceWorker.ready;
  let one = await pushManager.getSubscription();
  if (one && make && keyOf(one) !== pushKey) {
    await one.unsubscribe();
    one = null;
  }
  return one || !make ? one : pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: pushKey });
}

async function tell(document) {
  const { endpoint, keys } = (await device(true)).toJSON();
  await call("/v1/pushSubscriptions:put", { document, subscription: { endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } },
    region: $("region").value, language: language === "zh" ? "CHINESE" : "ENGLISH" });
}

// Where no messages are sent there is no switch. What was asked for is renewed whenever the page is opened.
async function learnNotices() {
  if (!signed || !canNotify()) return;
  try {
    pushKey = (await call("/v1/pushKey")).applicationServerKey;
    if (pushKey && !$("actions").querySelector("[data-action=notices]"))
      $("actions").append(el("button", { type: "button", "data-action": "notices", onclick: notices }, t("notices")));
    if (pushKey && Notification.permission === "granted") for (const document of told()) await tell(JSON.parse(document));
  } catch {}
}

async function tellNoMore(documents, token) {
  const one = await device(false);
  if (!one) return;
  for (const document of documents)
    await call("/v1/pushSubscriptions:delete", { document: JSON.parse(document), endpoint: one.endpoint }, token);
  if (!told().length) await one.unsubscribe();
}

// The push service ends what the gateway could not be told of.
async function forgetDevice() {
  const documents = told(), token = signed && signed.token;
  common.set("notices", null);
  if (!documents.length || !canNotify()) return;
  try {
    await tellNoMore(documents, token);
  } catch {
    const one = await device(false);
    if (one) one.unsubscribe();
  }
}

function notices() {
  const said = el("p", { role: "status" });
  const turn = el("button", { type: "button", role: "switch", class: "main", "data-switch": true, onclick: async () => {
    const own = named(), on = isTold();
    turn.disabled = true;
    said.textContent = "";
    try {
      if (on) {
        common.set("notices", told().filter(one => one !== own));
        await tellNoMore([own]);
      } else if (await Notification.requestPermission() === "granted") {
        await tell(JSON.parse(own));
        common.set("notices", [...told().filter(one => one !== own), own]);
      } else said.textContent = t("denied");
    } catch (error) {
      said.textContent = t("noAnswer") + trouble(error);
    }
    turn.disabled = false;
    draw();
    turn.focus();
  } });
  const draw = () => {
    turn.setAttribute("aria-checked", String(isTold()));
    turn.textContent = (isTold() ? "✓ " : "") + t("noticesHere");
  };
  draw();
  if (Notification.permission === "denied") said.textContent = t("denied");
  sheet(t("notices"), el("p", {}, t("noticesHint")), el("p", { class: "soft" }, t("noticesSay")), turn, said);
}
