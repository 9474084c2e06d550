// What goes wrong around the webmail loses no mail and does nothing twice. Every check opens windows of its own.
import assert from 'node:assert/strict'
import { signedIn, visit } from '../browser.mjs'
import { PATIENCE, row } from '../looking.mjs'

const ALICE = 'alice@north.test'
const CHORD = 'Control+Enter'
const toast = (page, text) => page.locator('.toast', { hasText: text })
const isApi = (url) => url.pathname === '/jmap/'
const calls = (request) => request.postDataJSON()?.methodCalls ?? []
const asks = (request, method) => calls(request).some(([name]) => name === method)

async function enter(world, options) {
  world.page = await signedIn(world.browser, world.stage.north, ALICE, options)
  return world.page
}
/** From now on the device takes nothing more, when `full`. */
async function withDisk(page) {
  await page.addInitScript(() => {
    for (const name of ['add', 'put']) {
      const real = IDBObjectStore.prototype[name]
      IDBObjectStore.prototype[name] = function (...args) {
        if (window.full) throw new DOMException('The disk is full', 'QuotaExceededError')
        return real.apply(this, args)
      }
    }
  })
  await page.reload()
  await page.locator('.row').first().waitFor()
}
const fillDisk = (page, full = true) => page.evaluate((is) => (window.full = is), full)

async function compose(page, { to, subject, text }) {
  await page.locator('nav').getByRole('button', { name: 'Compose' }).first().click()
  const window = page.locator('.window').last()
  await window.getByLabel('To', { exact: true }).fill(to)
  await page.keyboard.press('Enter')
  await window.getByLabel('Subject').fill(subject)
  await window.getByLabel('Text of the message').click()
  await page.keyboard.type(text)
  return window
}
const saved = (window) => window.locator('.state', { hasText: /^Saved/ })
async function done(page) {
  assert.deepEqual(page.faults, [])
  await page.context().close()
}

export const checks = {
  async a_full_disk_keeps_no_change_from_the_server(world) {
    const page = await enter(world)
    await withDisk(page)
    await fillDisk(page)
    await row(page, 'Letter 069').locator('.star').click()
    assert.ok(await world.ask('until_flag', ALICE, 'INBOX', 'Letter 069', '\\Flagged'))
    await done(page)
  },
  async a_full_disk_keeps_no_draft_from_the_server(world) {
    const page = await enter(world)
    await withDisk(page)
    const window = await compose(page, { to: ALICE, subject: 'On a full disk', text: 'First. ' })
    await saved(window).waitFor()
    await fillDisk(page)
    await page.route(isApi, (route) => route.abort(), { times: 1 })
    await page.keyboard.type('Second. ')
    await page.locator('.offline').waitFor()
    await page.locator('.offline').waitFor({ state: 'detached' })
    await page.keyboard.type('Third.')
    await saved(window).waitFor()
    assert.match(await world.ask('source', ALICE, 'Drafts', 'On a full disk'), /First\. Second\. Third\./)
    await page.keyboard.press(CHORD)
    await toast(page, 'Sent').waitFor()
    await window.waitFor({ state: 'detached' })
    assert.equal(await world.ask('until_count', ALICE, 'Drafts', 'On a full disk', 0), 0)
    await done(page)
  },
  async a_refused_draft_costs_nothing_of_the_one_before(world) {
    const page = await enter(world)
    const window = await compose(page, { to: ALICE, subject: 'Precious', text: 'With its file. ' })
    await page.setInputFiles('.window input[type=file]', { name: 'only copy.txt', mimeType: 'text/plain', buffer: Buffer.from('the only copy') })
    await window.locator('.files', { hasText: '13 B' }).waitFor()
    await saved(window).waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'Drafts', 'Precious', 1), 1)
    // The window stays open for days: uploads are kept for one.
    await page.route(isApi, (route) => route.continue({ postData: route.request().postData().replaceAll(/"blobId":"[^"]+"/g, '"blobId":"forgotten"') }))
    await page.getByLabel('Text of the message').click()
    await page.keyboard.type('And more.')
    await window.locator('.state', { hasText: 'Not saved: kept' }).waitFor()
    assert.match(await world.ask('source', ALICE, 'Drafts', 'Precious'), /only copy\.txt/)
    await page.getByLabel('Text of the message').click()
    await page.keyboard.press(CHORD)
    await toast(page, 'not sent').waitFor()
    assert.match(await world.ask('source', ALICE, 'Drafts', 'Precious'), /only copy\.txt/)
    await done(page)
  },
  async what_was_put_off_is_sent_by_one_window(world) {
    const page = await enter(world)
    await page.context().setOffline(true)
    await page.locator('.offline').waitFor()
    for (const subject of ['Put off 1', 'Put off 2']) {
      const window = await compose(page, { to: 'carol@south.test', subject, text: 'Later.' })
      await page.keyboard.press(CHORD)
      await window.waitFor({ state: 'detached' })
    }
    const sent = []
    /** Every sending of a window takes its time. */
    const slow = (each, wait) =>
      each.route(isApi, async (route) => {
        if (asks(route.request(), 'EmailSubmission/set')) {
          sent.push(calls(route.request())[0][1].create.message.subject)
          await new Promise((resolve) => setTimeout(resolve, wait))
        }
        await route.continue()
      })
    await page.context().setOffline(false)
    const other = await page.context().newPage()
    await slow(page, 1_500)
    await slow(other, 300)
    await page.context().setOffline(true)
    await page.context().setOffline(false)
    await other.goto(page.url())
    for (const each of [page, other]) await each.locator('.kept').waitFor({ state: 'detached', timeout: 30_000 })
    await page.waitForTimeout(2_500)
    for (const subject of ['Put off 1', 'Put off 2']) assert.equal(await world.ask('until_count', ALICE, 'Sent', subject, 1), 1)
    assert.deepEqual(sent.sort(), ['Put off 1', 'Put off 2'])
    await done(page)
  },
  async a_draft_discarded_while_it_is_saved_is_gone(world) {
    const page = await enter(world)
    let begun
    const saving = new Promise((resolve) => (begun = resolve))
    await page.route(isApi, async (route) => {
      if (asks(route.request(), 'Email/set') && calls(route.request())[0][1].create) {
        begun()
        await new Promise((resolve) => setTimeout(resolve, 800))
      }
      await route.continue()
    })
    const window = await compose(page, { to: ALICE, subject: 'Never mind', text: 'Away with it.' })
    await saving
    await window.getByLabel('Discard the draft').click()
    await toast(page, 'discarded').waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'Trash', 'Never mind', 1), 1)
    assert.equal(await world.ask('count', ALICE, 'Drafts', 'Never mind'), 0)
    await toast(page, 'discarded').getByText('Undo').click()
    assert.equal(await page.getByLabel('Subject').inputValue(), 'Never mind')
    assert.equal(await world.ask('until_count', ALICE, 'Drafts', 'Never mind', 1), 1)
    await page.getByLabel('Discard the draft').click()
    await done(page)
  },
  async what_is_typed_while_it_is_sent_makes_no_new_draft(world) {
    const page = await enter(world)
    await page.route(isApi, async (route) => {
      if (asks(route.request(), 'EmailSubmission/set')) await new Promise((resolve) => setTimeout(resolve, 1_000))
      await route.continue()
    })
    const window = await compose(page, { to: ALICE, subject: 'On its way', text: 'Go.' })
    await saved(window).waitFor()
    await page.keyboard.press(CHORD)
    await window.getByRole('button', { name: 'Sending…' }).waitFor()
    await page.keyboard.type(' Too late')
    await toast(page, 'Sent').waitFor()
    await page.waitForTimeout(2_500) // the next save would have come
    assert.equal(await world.ask('count', ALICE, 'Drafts', 'On its way'), 0)
    await done(page)
  },
  async a_draft_thrown_away_elsewhere_is_no_proof_of_sending(world) {
    const page = await enter(world)
    const window = await compose(page, { to: ALICE, subject: 'Did it leave', text: 'Or not?' })
    await saved(window).waitFor()
    await world.ask('append', 'Trash', '\\Draft \\Seen', (await world.ask('source', ALICE, 'Drafts', 'Did it leave')).replaceAll('\r\n', '\n'))
    await page.route(isApi, (route) => (asks(route.request(), 'EmailSubmission/set') ? route.abort() : route.continue()))
    await page.keyboard.press(CHORD)
    await toast(page, 'not sent').waitFor()
    await page.unroute(isApi)
    await page.locator('.offline').waitFor({ state: 'detached' })
    await window.getByRole('button', { name: 'Send', exact: true }).click()
    await window.waitFor({ state: 'detached' })
    assert.equal(await world.ask('until_count', ALICE, 'Sent', 'Did it leave', 1), 1)
    assert.equal(await world.ask('until_count', ALICE, 'Drafts', 'Did it leave', 0), 0)
    await done(page)
  },
  async what_is_kept_is_taken_up_by_one_window(world) {
    const page = await enter(world)
    const window = await compose(page, { to: ALICE, subject: 'Left open', text: 'To be gone on with.' })
    await page.context().setOffline(true)
    await page.locator('.offline').waitFor()
    await page.keyboard.type(' More.')
    await window.locator('.state', { hasText: 'Not saved: kept' }).waitFor()
    await page.keyboard.press('Escape')
    await page.locator('.kept').waitFor()
    await page.context().setOffline(false)
    await page.locator('.offline').waitFor({ state: 'detached' })
    const other = await page.context().newPage()
    await other.goto(page.url())
    await other.locator('.kept').waitFor()
    await page.locator('.kept button').first().click()
    await window.waitFor()
    await other.locator('.kept button').first().click()
    await other.locator('.kept').waitFor({ state: 'detached' })
    assert.equal(await other.locator('.window').count(), 0)
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async whom_one_has_just_typed_belongs_to_the_draft(world) {
    const page = await enter(world)
    const window = await compose(page, { to: ALICE, subject: 'Half written', text: 'To whom?' })
    await saved(window).waitFor()
    await window.getByLabel('To', { exact: true }).fill('friend@road.test')
    await page.keyboard.press('Escape')
    if (await window.count()) await page.keyboard.press('Escape') // the first put suggestions away
    await window.waitFor({ state: 'detached' })
    assert.match(await world.ask('source', ALICE, 'Drafts', 'Half written'), /friend@road\.test/)
    await done(page)
  },
  async keys_in_a_window_mean_nothing_below_it(world) {
    const page = await enter(world)
    await row(page, 'Letter 066').locator('.open').click()
    await page.locator('.conversation h1', { hasText: 'Letter 066' }).waitFor()
    const window = await compose(page, { to: ALICE, subject: 'Keys', text: 'x' })
    // An input method at work: its Escape puts characters away, not the window.
    await window.getByLabel('Text of the message').evaluate((text) => text.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', isComposing: true, bubbles: true, cancelable: true })))
    await window.getByLabel('Attach').first().focus()
    await page.keyboard.press('e')
    await page.keyboard.press('#')
    await page.waitForTimeout(300)
    assert.equal(await toast(page, /rchived|eleted/).count(), 0)
    await window.getByLabel('Discard the draft').click()
    assert.equal(await world.ask('count', ALICE, 'INBOX', 'Letter 066'), 1)
    await done(page)
  },
}
