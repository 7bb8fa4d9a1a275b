const $ = id => document.getElementById(id);
const SCENES = {HOSPITAL: ["医院", "Hospital"], CARE_HOME: ["养老院", "Care home"], SCHOOL: ["学校", "School"],
  CHILDCARE: ["幼儿园", "Childcare"], HOTEL: ["宾馆", "Hotel"], RESTAURANT: ["餐饮", "Restaurant"], SHOP: ["商场", "Shop"],
  MARKET: ["农贸市场", "Market"], METRO: ["地铁", "Metro"], BUS: ["公交", "Bus"], RAILWAY: ["火车站", "Railway"],
  AIRPORT: ["机场", "Airport"], COACH_STATION: ["客运站", "Coach station"], ENTERTAINMENT: ["娱乐场所", "Entertainment"],
  SPORTS: ["体育场馆", "Sports"], SIGHTS: ["景区", "Sights"], WORKPLACE: ["单位", "Workplace"],
  RESIDENTIAL: ["小区", "Residential"], PRISON: ["监所", "Prison"]};
// One shape for one colour; what is no code has shapes of its own.
const SHAPES = {
  GREEN: '<circle cx="50" cy="50" r="45"/><path d="M27 52l17 17 31-36"/>',
  YELLOW: '<path d="M50 6L97 90H3z"/><path d="M50 36v27M50 73v6"/>',
  ORANGE: '<path d="M50 3l47 47-47 47L3 50z"/><path d="M50 28v30M50 68v6"/>',
  RED: '<path d="M31 4h38l27 27v38L69 96H31L4 69V31z"/><path d="M32 32l36 36M68 32L32 68"/>',
  GREY: '<path d="M8 8h84v84H8z"/><path d="M35 38q0-15 15-15t15 14q0 9-15 17v7M50 72v6"/>',
  STALE: '<path d="M18 6h64L56 50l26 44H18l26-44z"/>',
  EXPIRED: '<path d="M10 10l80 80M90 10L10 90"/>',
};
SHAPES.REFUSED = SHAPES.EXPIRED;
const COLOURS = ["", "GREEN", "YELLOW", "ORANGE", "RED", "GREY"];

function storage(prefix) {
  return {
    get(key) {
      try { return JSON.parse(localStorage.getItem(prefix + key)); } catch { return null; }
    },
    set(key, value) {
      try {
        if (value === null) localStorage.removeItem(prefix + key);
        else localStorage.setItem(prefix + key, JSON.stringify(value));
      } catch {}
    },
  };
}

const common = storage("hutong.");
let language = common.get("language") || (/^zh/i.test(navigator.language) ? "zh" : "en");
const t = key => WORDS[language][key];
const both = text => text ? (language === "zh" ? text.zh || text.en : text.en || text.zh) : "";
// What an error says has both languages, one after the other.
const saidOf = problem => {
  const [zh, ...en] = (problem.detail || "").split(" / ");
  return language === "zh" || !en.length ? zh : en.join(" / ");
};
const sceneName = key => SCENES[key][language === "zh" ? 0 : 1];

function set(id, text) {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
}

function el(tag, properties, ...inside) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value != null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...inside.filter(one => one != null && one !== false));
  return element;
}

// The most telling units of a length of time, at most `most` of them.
function span(ms, most = 3) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const first = Math.min(3, parts.findIndex(one => one > 0) < 0 ? 3 : parts.findIndex(one => one > 0));
  return parts.map((number, unit) => number + (language === "zh" ? "" : " ") + t("units")[unit])
    .slice(first, first + most).join(" ");
}

function switchLanguage(drawn) {
  language = language === "zh" ? "en" : "zh";
  common.set("language", language);
  drawn();
}

// The button to the other language is the one place where that is spoken.
function spoken() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  const other = $("language");
  other.textContent = language === "zh" ? "EN" : "中";
  other.lang = language === "zh" ? "en" : "zh-CN";
  other.setAttribute("aria-label", language === "zh" ? "English" : "中文");
}

// A new version of the page takes over when nobody is in the middle of something.
function installed(busy) {
  if (!("serviceWorker" in navigator)) return;
  let had = navigator.serviceWorker.controller !== null, waiting = false;
  const takeOver = () => { if (waiting && !busy()) location.reload(); };
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    waiting = had;
    had = true;
    takeOver();
  });
  setInterval(takeOver, 1000);
  navigator.serviceWorker.register("/worker.js").then(registration => {
    const look = () => registration.update().catch(() => {});
    setInterval(look, 600000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  }).catch(() => {});
}
