// What goes wrong around the webmail loses no mail and does nothing twice. Every check opens windows of its own.
import assert from 'node:assert/strict'
import { visit } from '../browser.mjs'
import { ALICE, asks, calls, CHORD, compose, done, enter, isApi, saved, toast } from '../hands.mjs'
import { PATIENCE, row } from '../looking.mjs'

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
    const first = await compose(page, { to: ALICE, subject: 'So that windows are there', text: 'x' })
    await first.getByLabel('Discard the draft').click()
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
    const other = await page.context().newPage()
    await slow(page, 1_500)
    await slow(other, 300)
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
    // The other one may have looked again by itself, and offers it no longer.
    await other.locator('.kept button').first().click({ timeout: 3_000 }).catch(() => {})
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
  async what_was_searched_lately_may_be_a_suggestion_too(world) {
    const page = await enter(world)
    const field = page.getByRole('combobox', { name: 'Search' })
    await field.fill('is:unread')
    await page.keyboard.press('Enter')
    await page.waitForURL(/search/)
    await visit(page, '/mail/inbox')
    await field.focus()
    await page.locator('search').getByRole('option', { name: 'is:unread' }).first().waitFor()
    assert.equal(await page.locator('search').getByRole('option', { name: 'is:unread' }).count(), 1)
    await done(page)
  },
  async one_address_twice_is_one_recipient(world) {
    const page = await enter(world)
    const window = await compose(page, { to: 'bob@south.test, Bob <BOB@south.test>, bob@south.test', subject: 'Twice', text: 'Once.' })
    await window.getByRole('button', { name: /^Remove/ }).first().waitFor()
    assert.equal(await window.getByRole('button', { name: /^Remove/ }).count(), 1)
    await window.getByLabel('Discard the draft').click()
    // A draft of another program has it in two fields and twice in one.
    await world.ask('append', 'Drafts', '\\Draft \\Seen', 'From: alice@north.test\nTo: bob@south.test, bob@south.test\nCc: bob@south.test\nSubject: From elsewhere\n\nText.\n')
    await visit(page, '/mail/drafts')
    await row(page, 'From elsewhere').locator('.open').click()
    await page.locator('article').getByRole('button', { name: 'Compose' }).click()
    await page.locator('.window').getByRole('button', { name: /^Remove/ }).first().waitFor()
    await page.locator('.window').getByLabel('Discard the draft').click()
    await done(page)
  },
  async no_letter_stops_its_reader(world) {
    const page = await enter(world)
    const letters = {
      'One long word': `Content-Type: text/plain\n\n${'a'.repeat(400_000)}\n`,
      'Many quotations': `Content-Type: text/html\n\n<p>x</p>${'<blockquote type=cite>y</blockquote>\n'.repeat(19_000)}`,
      'No way out': `List-Unsubscribe: ${'<\n '.repeat(80_000)}\nContent-Type: text/plain\n\nText.\n`,
    }
    for (const [subject, rest] of Object.entries(letters)) {
      await world.ask('append', 'INBOX', '', `From: mallory@evil.test\nTo: ${ALICE}\nSubject: ${subject}\nMIME-Version: 1.0\n${rest}`)
      await row(page, subject).locator('.open').click()
      await page.locator('article.open .body').locator('.plain, iframe').first().waitFor()
      const start = Date.now()
      await page.waitForTimeout(1_000)
      await page.locator('article.open .body').locator('.plain, iframe').first().waitFor()
      assert.ok(Date.now() - start < 20_000, subject)
      await visit(page, '/mail/inbox')
    }
    await done(page)
  },
  async a_broken_mailto_opens_a_window_all_the_same(world) {
    const page = await enter(world)
    await visit(page, `/compose?mailto=${encodeURIComponent('mailto:100%@road.test?subject=Why? Now&body=50 % off')}`)
    const window = page.locator('.window')
    await window.getByLabel('Subject').waitFor()
    assert.equal(await window.getByLabel('Subject').inputValue(), 'Why? Now')
    await window.getByText('50 % off').waitFor()
    await page.locator('.row').first().waitFor()
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async the_keys_stay_at_their_message_when_another_comes(world) {
    const page = await enter(world)
    await row(page, 'Letter 069').waitFor()
    while (!(await page.locator('.row.current', { hasText: 'Letter 064' }).count())) await page.keyboard.press('j')
    await world.ask('deliver', 'It came between')
    await row(page, 'It came between').waitFor({ timeout: PATIENCE })
    await page.keyboard.press('e')
    await toast(page, 'archived').waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'Archive', 'Letter 064', 1), 1)
    await page.keyboard.press('z')
    assert.equal(await world.ask('until_count', ALICE, 'INBOX', 'Letter 064', 1), 1)
    await done(page)
  },
  async what_is_open_stays_when_everything_is_asked_for_anew(world) {
    const page = await enter(world)
    await row(page, 'Letter 069').waitFor()
    await page.locator('.scroller').evaluate((element) => element.scrollTo({ top: element.scrollHeight }))
    await row(page, 'Letter 001').locator('.open').click()
    await page.locator('article').getByText('This is letter 1.').waitFor()
    await page.locator('.scroller').evaluate((element) => element.scrollTo({ top: 0 }))
    await row(page, 'Letter 069').waitFor()
    let answered
    let told = false
    const anew = new Promise((resolve) => (answered = resolve))
    await page.route(isApi, async (route) => {
      if (told || !asks(route.request(), 'Email/changes')) return route.continue()
      const response = await route.fetch()
      const body = await response.json()
      body.methodResponses = body.methodResponses.map(([name, value, tag]) => (name === 'Email/changes' ? ['error', { type: 'cannotCalculateChanges' }, tag] : [name, value, tag]))
      told = true
      await route.fulfill({ response, json: body })
      answered()
    })
    await world.ask('store', ALICE, 'INBOX', 'Letter 002', '\\Flagged', '+')
    await anew
    await page.waitForTimeout(1_500)
    await page.locator('article').getByText('This is letter 1.').waitFor()
    await done(page)
  },
  async a_change_whose_message_was_not_told_is_asked_for_again(world) {
    const page = await enter(world)
    await row(page, 'Letter 063').waitFor()
    let answered = 0
    await page.route(isApi, async (route) => {
      const index = calls(route.request()).findIndex(([name, args]) => name === 'Email/get' && args['#ids']?.path === '/updated')
      if (index < 0 || answered) return route.continue()
      const response = await route.fetch()
      const body = await response.json()
      body.methodResponses[index] = ['error', { type: 'serverFail' }, body.methodResponses[index][2]]
      answered++
      await route.fulfill({ response, json: body })
    })
    // The first one may still come with the list, on a slow machine.
    for (let tries = 0; !answered && tries < 4; tries++) {
      await world.ask('store', ALICE, 'INBOX', 'Letter 063', '\\Flagged', tries % 2 ? '-' : '+')
      await row(page, 'Letter 063').locator('.star.on').waitFor({ state: tries % 2 ? 'detached' : 'visible' })
    }
    assert.equal(answered, 1)
    await done(page)
  },
  async an_answer_that_comes_late_does_not_hide_what_came_since(world) {
    const page = await enter(world)
    await row(page, 'Letter 062').waitFor()
    let held
    const holds = new Promise((resolve) => (held = resolve))
    let release
    const released = new Promise((resolve) => (release = resolve))
    await page.route(isApi, async (route) => {
      if (!asks(route.request(), 'Email/query') || calls(route.request()).some(([, args]) => args.filter?.hasKeyword !== '$flagged' && args.filter)) return route.continue()
      const response = await route.fetch()
      held()
      await released
      await route.fulfill({ response })
    })
    await world.ask('store', ALICE, 'INBOX', 'Letter 062', '\\Flagged', '+')
    await row(page, 'Letter 062').locator('.star.on').waitFor({ timeout: PATIENCE })
    const starred = page.locator('.pane-folders').getByRole('link', { name: 'Starred' })
    let asked = false
    void holds.then(() => (asked = true))
    // A press may meet the folders while they are drawn anew.
    for (let tries = 0; !asked && tries < 3; tries++) {
      await starred.click()
      await Promise.race([holds, page.waitForTimeout(3_000)])
    }
    assert.ok(asked, 'the list of starred mail was not asked for')
    await world.ask('store', ALICE, 'INBOX', 'Letter 062', '\\Seen', '+')
    await page.waitForTimeout(1_500) // told by /changes meanwhile
    release()
    await page.locator('.row:not(.unread)', { hasText: 'Letter 062' }).waitFor({ timeout: PATIENCE })
    await page.waitForTimeout(300)
    assert.equal(await page.locator('.row.unread', { hasText: 'Letter 062' }).count(), 0)
    await done(page)
  },
  async nothing_of_an_account_stays_after_signing_out(world) {
    const page = await enter(world)
    const other = await page.context().newPage()
    await other.goto(page.url())
    await other.locator('.row').first().waitFor()
    await page.evaluate(() => localStorage.setItem('posthouse.searches', '["from:doctor"]'))
    const leave = async () => {
      await page.locator('.account').click()
      await page.getByRole('menuitem', { name: 'Sign out' }).click()
    }
    // Without an answer nobody is signed out, and it is said.
    await page.route((url) => url.pathname === '/logout', (route) => route.abort(), { times: 1 })
    await leave()
    await toast(page, 'Not signed out').waitFor()
    assert.equal(new URL(page.url()).pathname, '/mail/inbox')
    await leave()
    await page.waitForURL(/login/)
    const left = await page.evaluate(async () => ({ searches: localStorage.getItem('posthouse.searches'), databases: (await indexedDB.databases()).map(({ name }) => name) }))
    assert.deepEqual(left, { searches: null, databases: [] })
    await done(page)
  },
  async a_window_of_one_account_does_not_go_on_as_another(world) {
    const page = await enter(world)
    const other = await page.context().newPage()
    await other.goto(page.url())
    await other.locator('.row').first().waitFor()
    await page.evaluate(() => (window.begunAsAlice = true))
    await page.context().clearCookies()
    await other.goto(`${world.stage.north}/login`)
    await other.locator('input[autocomplete~=username]').fill('dora@north.test')
    await other.locator('input[type=password]').fill('posthouse')
    await other.locator('button[type=submit]').first().click()
    await other.locator('.pane-list').waitFor()
    await page.evaluate(() => {
      dispatchEvent(new Event('offline'))
      dispatchEvent(new Event('online'))
    })
    await page.waitForFunction(() => window.begunAsAlice === undefined) // another page, or the same begun anew
    assert.equal(await row(page, 'Letter 069').count(), 0)
    await page.context().close()
  },
  async what_was_not_destroyed_is_not_said_to_be(world) {
    const page = await enter(world)
    await row(page, 'Letter 061').locator('.open').click()
    await page.locator('.conversation h1', { hasText: 'Letter 061' }).waitFor()
    await page.keyboard.press('#')
    await toast(page, 'moved to trash').waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'Trash', 'Letter 061', 1), 1)
    await visit(page, '/mail/trash')
    await row(page, 'Letter 061').locator('.open').click()
    await page.locator('.conversation h1', { hasText: 'Letter 061' }).waitFor()
    await page.route(isApi, (route) => (calls(route.request()).some(([, args]) => args.destroy) ? route.abort() : route.continue()))
    await page.keyboard.press('#')
    await page.locator('dialog').getByRole('button', { name: 'Delete for ever' }).click()
    await toast(page, 'does not answer').waitFor()
    assert.equal(await toast(page, 'message deleted').count(), 0)
    assert.equal(await world.ask('count', ALICE, 'Trash', 'Letter 061'), 1)
    await page.unroute(isApi)
    await done(page)
  },
  async what_cannot_be_done_now_is_done_later(world) {
    const page = await enter(world)
    let refused = 0
    await page.route(isApi, async (route) => {
      if (refused || !asks(route.request(), 'Email/set')) return route.continue()
      refused++
      const { methodCalls } = route.request().postDataJSON()
      await route.fulfill({ json: { sessionState: '', methodResponses: methodCalls.map(([, , tag]) => ['error', { type: 'serverUnavailable' }, tag]) } })
    })
    await row(page, 'Letter 060').locator('.star').click()
    assert.ok(await world.ask('until_flag', ALICE, 'INBOX', 'Letter 060', '\\Flagged'))
    assert.equal(refused, 1)
    await done(page)
  },
  async a_file_with_a_content_id_is_passed_on(world) {
    const page = await enter(world)
    const part = (type, more, text) => `--b\nContent-Type: ${type}\n${more}\n${text}\n`
    const inline = (name, id) => `Content-Disposition: inline; filename=${name}\nContent-ID: <${id}>\nContent-Transfer-Encoding: base64\n`
    const parts = part('text/html', '', '<p>Both are here: <img src="cid:picture@road.test"></p>') + part('image/gif', 'Content-ID: <picture@road.test>\nContent-Transfer-Encoding: base64\n', 'R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=') + part('application/pdf', inline('contract.pdf', 'file@road.test'), 'JVBERg==')
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: Contract\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n${parts}--b--\n`)
    await row(page, 'Contract').locator('.open').click()
    await page.locator('article').getByRole('button', { name: 'Forward' }).click()
    const window = page.locator('.window')
    await window.locator('.files', { hasText: 'contract.pdf' }).waitFor()
    await window.getByLabel('To', { exact: true }).fill(ALICE)
    await page.keyboard.press('Enter')
    await saved(window).waitFor()
    const source = await world.ask('source', ALICE, 'Drafts', 'Fwd: Contract')
    assert.match(source, /contract\.pdf/)
    assert.match(source, /Content-ID: <picture@road\.test>/i)
    assert.doesNotMatch(source, /src="\/jmap/)
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async a_picture_beside_the_text_is_a_file(world) {
    const page = await enter(world)
    // As a telephone sends a photograph.
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: From the road\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nLook:\n--b\nContent-Type: image/gif; name=road.gif\nContent-Disposition: inline; filename=road.gif\nContent-ID: <road@road.test>\nContent-Transfer-Encoding: base64\n\nR0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=\n--b--\n`)
    await row(page, 'From the road').locator('.open').click()
    await page.locator('article section li').getByText('road.gif').waitFor()
    await page.locator('article').getByRole('button', { name: 'Forward' }).click()
    await page.locator('.window .files', { hasText: 'road.gif' }).waitFor()
    await page.locator('.window').getByLabel('Discard the draft').click()
    await done(page)
  },
  async a_draft_of_another_program_stays_as_it_is(world) {
    const page = await enter(world)
    const long = `${'A line of many. '.repeat(56)}\n`.repeat(1_130)
    await world.ask('append', 'Drafts', '\\Draft \\Seen', `From: alice@north.test\nTo: bob@south.test\nSubject: Long and wide\nMIME-Version: 1.0\nContent-Type: text/plain\n\nif so:\n    return  two\n\tthree\n${long}The end.\n`)
    await visit(page, '/mail/drafts')
    await row(page, 'Long and wide').locator('.open').click()
    await page.locator('article').getByRole('button', { name: 'Compose' }).click()
    const window = page.locator('.window')
    await window.getByLabel('Subject').fill('Long and wide and changed')
    await window.locator('.state', { hasText: /outside|Saved/ }).waitFor({ timeout: 30_000 })
    assert.equal(await world.ask('until_count', ALICE, 'Drafts', 'Long and wide and changed', 1), 1)
    const source = await world.ask('source', ALICE, 'Drafts', 'Long and wide and changed')
    assert.match(source, /The end\./)
    assert.match(source, /if so: {4}return {2}two three/)
    await done(page)
  },
  async a_name_is_not_read_backwards(world) {
    const page = await enter(world)
    await world.ask('append', 'INBOX', '', `From: =?utf-8?Q?Bank_=E2=80=AE?= <tset.htron@evil.test>\nTo: ${ALICE}\nSubject: Bill\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nSee it.\n--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename*=utf-8''bill%E2%80%AEfdp.exe\n\nMZ\n--b--\n`)
    await row(page, 'Bill').locator('.open').click()
    const file = page.locator('article section li')
    await file.getByText('billfdp.exe').waitFor()
    assert.equal(await file.locator('a.download').getAttribute('download'), 'billfdp.exe')
    assert.doesNotMatch(await page.locator('article header').first().innerText(), /\u202e/)
    await done(page)
  },
  async a_finger_puts_away_the_row_that_it_took(world) {
    const page = await enter(world, { hasTouch: true })
    await world.ask('deliver', 'Under the thumb')
    await row(page, 'Under the thumb').waitFor({ timeout: PATIENCE })
    const box = await row(page, 'Under the thumb').boundingBox()
    const client = await page.context().newCDPSession(page)
    const touch = (type, x) => client.send('Input.dispatchTouchEvent', { type, touchPoints: x === undefined ? [] : [{ x, y: box.y + box.height / 2 }] })
    await touch('touchStart', 300)
    for (const x of [270, 240, 210, 180]) await touch('touchMove', x)
    await world.ask('deliver', 'Under the finger')
    await row(page, 'Under the finger').waitFor({ timeout: PATIENCE })
    await touch('touchMove', 150)
    await touch('touchEnd')
    await toast(page, 'archived').waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'Archive', 'Under the thumb', 1), 1)
    await done(page)
  },
  async a_row_stays_under_the_hand(world) {
    const page = await enter(world)
    const meant = row(page, 'Letter 062')
    await meant.hover()
    const taken = await meant.locator('.open').elementHandle()
    await taken.focus()
    const { x, y, width, height } = await meant.boundingBox()
    const under = () => page.evaluate(([x, y]) => document.elementFromPoint(x, y).closest('.row').textContent, [x + width / 2, y + height / 2])
    const stays = async () => {
      assert.match(await under(), /Letter 062/)
      assert.match(await taken.evaluate((link) => link.ariaLabel), /Letter 062/)
      assert.ok(await taken.evaluate((link) => link === document.activeElement))
    }
    await stays()
    await world.ask('deliver', 'From above')
    await page.locator('.arrived', { hasText: /^1/ }).waitFor({ timeout: PATIENCE })
    await stays()
    // A conversation from above it goes to the top: one more above, one less.
    await world.ask('append', 'INBOX', '', `From: writer68@road.test\nTo: ${ALICE}\nSubject: Re: Letter 068\nMessage-ID: <answer68@road.test>\nIn-Reply-To: <letter68@road.test>\nReferences: <letter68@road.test>\n\nAnswered.\n`)
    await page.locator('.arrived', { hasText: /^2/ }).waitFor({ timeout: PATIENCE })
    await stays()
    await page.mouse.click(x + width / 2, y + height / 2)
    await page.locator('.conversation h1', { hasText: 'Letter 062' }).waitFor()
    await done(page)
  },
  async the_keys_stay_in_the_list_when_their_row_goes(world) {
    const page = await enter(world)
    await page.locator('.row .open').nth(2).focus()
    await page.keyboard.press('j')
    const focused = () => page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.tagName)
    const before = await focused()
    await page.keyboard.press('Enter')
    await page.locator('.conversation h1').waitFor()
    await page.keyboard.press('e')
    await toast(page, 'archived').waitFor()
    await page.waitForFunction((before) => document.activeElement.matches('.row .open') && document.activeElement.ariaLabel !== before, before)
    await done(page)
  },
}
