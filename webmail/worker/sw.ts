// The service worker: after the first load the application opens without a connection. It keeps the application's own files and
// nothing of anybody's mail (that is the page's, in IndexedDB, and goes with signing out), so it needs to know no account.
//
// A page of the application comes from the network first, so that a new version is taken at once; what it names is then fetched,
// and files of the version before are dropped. Everything else (JMAP, signing in, letters, pictures) is left alone.
import { isPage, isShell, wanted, type Manifest } from './shell'

declare const self: ServiceWorkerGlobalScope

const CACHE = 'posthouse-shell'
const INDEX = '/index.html'
const FRAME = '/mail/frame'
const PATIENCE_MS = 4_000

self.addEventListener('install', (event) => {
  event.waitUntil(renew().then(() => self.skipWaiting()))
})
self.addEventListener('activate', (event) => {
  event.waitUntil(self.clients.claim())
})
self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== self.location.origin) return
  if (request.mode === 'navigate' && request.destination === 'document' && isPage(url.pathname)) event.respondWith(page(event))
  else if (url.pathname === FRAME || isShell(url.pathname)) event.respondWith(file(request))
})

/** The application's page: from the network within a while, else as it was kept. */
async function page(event: FetchEvent): Promise<Response> {
  const kept = await caches.match(INDEX)
  const asked = fetch(event.request)
  event.waitUntil(asked.then((response) => (response.ok && !response.redirected ? take(response.clone()) : undefined)).catch(() => undefined))
  if (!kept) return asked
  const late = new Promise<Response>((resolve) => setTimeout(resolve, PATIENCE_MS, kept))
  return Promise.race([asked.catch(() => kept), late]).then((response) => response.clone())
}

/** A new version has come: keep its files. */
async function take(response: Response): Promise<void> {
  const text = await response.text()
  const kept = await caches.match(INDEX).then((old) => old?.text())
  if (kept !== text) await renew()
}

/** Files never change under their names; the frame for letters and the icons are as good as that. */
async function file(request: Request): Promise<Response> {
  return (await caches.match(request, { ignoreSearch: true })) ?? fetch(request)
}

/** Fetch all files of the present version, then the page that names them, then drop the others. */
async function renew(): Promise<void> {
  const cache = await caches.open(CACHE)
  const manifest = (await (await fetch('/manifest.json', { cache: 'no-cache' })).json()) as Manifest
  const names = [...wanted(manifest), FRAME]
  const there = new Set((await cache.keys()).map((request) => new URL(request.url).pathname))
  await cache.addAll(names.filter((name) => !name.startsWith('/assets/') || !there.has(name)))
  const index = await fetch(INDEX, { cache: 'no-cache' })
  if (index.ok) await cache.put(INDEX, index)
  const present = new Set([...names, INDEX])
  for (const request of await cache.keys()) if (!present.has(new URL(request.url).pathname)) await cache.delete(request)
}
