// The service worker that lets the application open without a connection (worker/sw.ts). Without one everything else still works.
export function registerWorker(): void {
  if (!('serviceWorker' in navigator) || !isSecureContext || import.meta.env.DEV) return
  addEventListener('load', () => void navigator.serviceWorker.register('/sw.js').catch(() => undefined))
}
