"use strict";
// Keeps the pages on the device, so that they open with no network. With a network the newest page is shown, and a new
// version of this file takes the place of the old one at once. Nothing that is about a person is kept here.
const VERSION = "/*version*/";
const PAGES = /*pages*/;
// What a gate needs to check passes, as it was when the pages were installed.
const NEEDED = ["/v1/trustBundle", "/v1/regions"];
const PATIENCE = 4000;

self.addEventListener("install", event => event.waitUntil((async () => {
  const cache = await caches.open(VERSION);
  await cache.addAll(PAGES.map(path => new Request(path, { cache: "reload" })));
  for (const path of NEEDED) await cache.add(new Request(path, { cache: "no-store" })).catch(() => {});
  await self.skipWaiting();
})()));

self.addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name !== VERSION) await caches.delete(name);
  await self.clients.claim();
})()));

self.addEventListener("fetch", event => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || url.search) return;
  if (PAGES.includes(url.pathname) || NEEDED.includes(url.pathname)) event.respondWith(answer(event.request, url.pathname));
});

// What the gateway says names nobody and no result; a newer message of a kind takes the place of the last.
self.addEventListener("push", event => {
  let said = {};
  try { said = event.data.json(); } catch {}
  event.waitUntil(self.registration.showNotification(said.title || "互通 · 健康码",
    { body: said.body || "", lang: said.lang || "zh-CN", tag: said.kind || "", renotify: !!said.kind, icon: "/icon-192.png" }));
});

self.addEventListener("notificationclick", event => {
  event.notification.close();
  event.waitUntil((async () => {
    const open = await self.clients.matchAll({ type: "window" });
    const page = open.find(one => new URL(one.url).pathname === "/");
    await (page ? page.focus() : self.clients.openWindow("/"));
  })());
});

async function answer(request, path) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE);
  try {
    const fresh = await fetch(request.mode === "navigate" ? path : request, { signal: patience.signal, cache: "no-store" });
    if (fresh.ok) return fresh;
    return (await kept(path)) || fresh;
  } catch (error) {
    return (await kept(path)) || Response.error();
  } finally {
    clearTimeout(timer);
  }
}

// What was kept says so: a gate goes by the age of its keys, not by when it was given them.
async function kept(path) {
  const reply = await caches.match(path, { cacheName: VERSION });
  if (!reply || PAGES.includes(path)) return reply;
  const headers = new Headers(reply.headers);
  headers.set("hutong-kept", "1");
  return new Response(reply.body, { status: reply.status, headers });
}
