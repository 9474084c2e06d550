// What several suites do in windows of their own, and what they do to what such a window asks of the server.
import assert from 'node:assert/strict'
import { signedIn } from './browser.mjs'

export const ALICE = 'alice@north.test'
export const CHORD = 'Control+Enter'
export const toast = (page, text) => page.locator('.toast', { hasText: text })
export const isApi = (url) => url.pathname === '/jmap/'
export const calls = (request) => request.postDataJSON()?.methodCalls ?? []
export const asks = (request, method) => calls(request).some(([name]) => name === method)

/**
 * A window of alice's. Without the service worker: it takes a page over at a moment of its own, and what goes through one is not seen by
 * `page.route`, on which these checks rely.
 */
export async function enter(world, options) {
  world.page = await signedIn(world.browser, world.stage.north, ALICE, { serviceWorkers: 'block', ...options })
  return world.page
}
/** Nothing went wrong unseen; the window closes. */
export async function done(page) {
  assert.deepEqual(page.faults, [])
  await page.context().close()
}

export async function compose(page, { to, subject, text }) {
  await page.locator('nav').getByRole('button', { name: 'Compose' }).first().click()
  const window = page.locator('.window').last()
  await window.getByLabel('To', { exact: true }).fill(to)
  await page.keyboard.press('Enter')
  await window.getByLabel('Subject').fill(subject)
  await window.getByLabel('Text of the message').click()
  await page.keyboard.type(text)
  return window
}
/** Until the device remembers the messages that a list shows: they are written when the page has nothing else to do. */
export async function remembered(page, count) {
  const kept = () =>
    page.evaluate(async () => {
      const name = (await indexedDB.databases()).map((each) => each.name).find((each) => each.startsWith('posthouse-'))
      if (!name) return 0
      const db = await new Promise((resolve, reject) => Object.assign(indexedDB.open(name), { onsuccess: (event) => resolve(event.target.result), onerror: reject }))
      const asked = db.transaction('emails').objectStore('emails').count()
      return new Promise((resolve) => (asked.onsuccess = () => resolve(asked.result))).finally(() => db.close())
    })
  for (let end = Date.now() + 20_000; Date.now() < end; await page.waitForTimeout(50)) if ((await kept()) >= count) return
  throw new Error(`the device remembers ${await kept()} messages of ${count}`)
}
export const saved = (window) => window.locator('.state', { hasText: /^Saved/ })

/** Answer the next `times` requests that ask for `method` with an error; how often that was done is in `count`. */
export async function refuse(page, method, { times = 1, type = 'serverFail', description } = {}) {
  const done = { count: 0 }
  await page.route(isApi, async (route) => {
    if (done.count >= times || !asks(route.request(), method)) return route.fallback()
    done.count++
    const error = { type, ...(description ? { description } : {}) }
    await route.fulfill({ json: { sessionState: '', methodResponses: calls(route.request()).map(([, , tag]) => ['error', error, tag]) } })
  })
  return done
}

/** What the page's account answers to calls that another program makes. */
export function jmap(page, ...methodCalls) {
  return page.evaluate(async (given) => {
    const session = await (await fetch('/.well-known/jmap')).json()
    const accountId = session.primaryAccounts['urn:ietf:params:jmap:mail']
    const body = { using: Object.keys(session.capabilities), methodCalls: given.map(([name, args], index) => [name, { accountId, ...args }, String(index)]) }
    const answer = await fetch(new URL(session.apiUrl).pathname, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    return (await answer.json()).methodResponses.map(([, value]) => value)
  }, methodCalls)
}
