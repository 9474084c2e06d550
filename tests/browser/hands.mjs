// What several suites do in windows of their own, and what they do to what such a window asks of the server.
import assert from 'node:assert/strict'
import { signedIn } from './browser.mjs'

export const ALICE = 'alice@north.test'
export const CHORD = 'Control+Enter'
export const toast = (page, text) => page.locator('.toast', { hasText: text })
export const isApi = (url) => url.pathname === '/jmap/'
export const calls = (request) => request.postDataJSON()?.methodCalls ?? []
export const asks = (request, method) => calls(request).some(([name]) => name === method)

/** A window of alice's. */
export async function enter(world, options) {
  world.page = await signedIn(world.browser, world.stage.north, ALICE, options)
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
