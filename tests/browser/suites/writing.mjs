// What one writes, passes on and files arrives whole, also when the server is away for a while. Every check opens a window of its own.
import assert from 'node:assert/strict'
import { visit } from '../browser.mjs'
import { ALICE, asks, calls, CHORD, compose, done, enter, isApi, jmap, refuse, remembered, saved, toast } from '../hands.mjs'
import { PATIENCE, row } from '../looking.mjs'

const AWAY = 20_000 // some pauses between tries
const PICTURE = 'https://pictures.road.test/ferry.jpg?reader=1&size=2'

/** Names of the mailboxes in which the message with a subject lies. */
async function boxes(page, subject) {
  const [query, { list }] = await jmap(page, ['Email/query', { filter: { subject } }], ['Mailbox/get', { ids: null, properties: ['name'] }])
  const [found] = await jmap(page, ['Email/get', { ids: query.ids, properties: ['mailboxIds', 'keywords'] }])
  return found.list.flatMap(({ mailboxIds }) => Object.keys(mailboxIds).map((id) => list.find((box) => box.id === id).name)).sort()
}
async function untilBoxes(page, subject, wanted) {
  const end = Date.now() + PATIENCE
  let found
  do found = await boxes(page, subject)
  while (found.join() !== wanted.join() && Date.now() < end)
  assert.deepEqual(found, wanted, subject)
}
/** A message that lies in the inbox and in a folder of projects too. */
async function inBoth(world, page, subject, folder) {
  await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: ${subject}\n\nIn both.\n`)
  await row(page, subject).waitFor()
  const [query, { list }] = await jmap(page, ['Email/query', { filter: { subject } }], ['Mailbox/get', { ids: null, properties: ['name'] }])
  let box = list.find(({ name }) => name === folder)?.id
  if (!box) box = (await jmap(page, ['Mailbox/set', { create: { made: { name: folder, parentId: null } } }]))[0].created.made.id
  await jmap(page, ['Email/set', { update: { [query.ids[0]]: { [`mailboxIds/${box}`]: true } } }])
  await untilBoxes(page, subject, ['Inbox', folder].sort())
  return box
}
/** Go on with a draft, from the folder where it lies; its window. */
async function goOn(page, subject) {
  await visit(page, '/mail/drafts')
  await row(page, subject).locator('.open').click()
  await page.locator('article').getByRole('button', { name: 'Compose' }).click()
  await page.locator('.window').getByLabel('Text of the message').focus()
  return page.locator('.window')
}
async function press(page, key) {
  await page.locator('.pane-list').focus().catch(() => {})
  await page.keyboard.press(key)
}

export const checks = {
  async a_draft_that_was_not_saved_is_saved_again_by_itself(world) {
    const page = await enter(world)
    const window = await compose(page, { to: ALICE, subject: 'Not yet', text: 'First. ' })
    await saved(window).waitFor()
    const refused = await refuse(page, 'Email/set', { times: 2 })
    await page.keyboard.type('Second.')
    await window.locator('.state', { hasText: 'Not saved: kept' }).waitFor()
    await saved(window).waitFor({ timeout: AWAY })
    assert.equal(refused.count, 2)
    assert.match(await world.ask('source', ALICE, 'Drafts', 'Not yet'), /First\. Second\./)
    assert.equal(await world.ask('until_count', ALICE, 'Drafts', 'Not yet', 1), 1)
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async a_draft_is_saved_when_the_connection_is_back(world) {
    const page = await enter(world)
    const window = await compose(page, { to: ALICE, subject: 'In the tunnel', text: 'Before. ' })
    await saved(window).waitFor()
    await page.context().setOffline(true)
    await page.locator('.offline').waitFor()
    await page.keyboard.type('Within.')
    await window.locator('.state', { hasText: 'Not saved: kept' }).waitFor()
    await page.context().setOffline(false)
    await saved(window).waitFor({ timeout: AWAY })
    assert.match(await world.ask('source', ALICE, 'Drafts', 'In the tunnel'), /Before\. Within\./)
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async an_answer_that_is_gone_on_with_later_marks_what_it_answers(world) {
    const page = await enter(world)
    const begin = async (subject, button) => {
      await visit(page, '/mail/inbox')
      await row(page, subject).locator('.open').click()
      await page.locator('article').getByRole('button', { name: button, exact: true }).last().click()
      const window = page.locator('.window')
      await window.getByLabel('Text of the message').click()
      await page.keyboard.type('My words.')
      await window.locator('.state', { hasText: /Saved|outside/ }).waitFor()
      await page.keyboard.press('Escape')
      await window.waitFor({ state: 'detached' })
    }
    await begin('Letter 058', 'Reply')
    await begin('Letter 057', 'Forward')
    await page.reload()
    await page.locator('.row').first().waitFor()
    await goOn(page, 'Letter 058')
    await page.keyboard.press(CHORD)
    await toast(page, 'Sent').waitFor()
    assert.ok(await world.ask('until_flag', ALICE, 'INBOX', 'Letter 058', '\\Answered'))
    const window = await goOn(page, 'Letter 057')
    await window.getByLabel('To', { exact: true }).fill('bob@south.test')
    await page.keyboard.press('Enter')
    await page.keyboard.press(CHORD)
    await toast(page, 'Sent').first().waitFor()
    assert.ok(await world.ask('until_flag', ALICE, 'INBOX', 'Letter 057', '$forwarded'))
    assert.ok(await world.ask('until_no_flag', ALICE, 'INBOX', 'Letter 057', '\\Answered'))
    await done(page)
  },
  async what_is_not_sent_after_all_is_not_answered(world) {
    const page = await enter(world)
    await row(page, 'Letter 056').locator('.open').click()
    await page.locator('article').getByRole('button', { name: 'Reply', exact: true }).last().click()
    await page.locator('.window').getByLabel('Text of the message').click()
    await page.keyboard.type('Or not.')
    await page.keyboard.press(CHORD)
    await toast(page, 'Sent').waitFor()
    assert.ok(await world.ask('until_flag', ALICE, 'INBOX', 'Letter 056', '\\Answered'))
    await toast(page, 'Sent').getByText('Undo send').click()
    await toast(page, 'Not sent').waitFor()
    assert.ok(await world.ask('until_no_flag', ALICE, 'INBOX', 'Letter 056', '\\Answered'))
    await page.locator('.window').getByLabel('Discard the draft').click()
    await done(page)
  },
  async pictures_from_elsewhere_are_passed_on(world) {
    const page = await enter(world)
    const asked = []
    page.on('request', (request) => new URL(request.url()).pathname === '/mail/image' && asked.push(request.url()))
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: The ferry\nMIME-Version: 1.0\nContent-Type: text/html\n\n<p>At dawn: <img src="${PICTURE.replace('&', '&amp;')}" width="40" height="20" alt="The ferry"></p>\n`)
    await row(page, 'The ferry').locator('.open').click()
    await page.locator('article iframe').waitFor()
    const forward = async () => {
      await page.locator('article').getByRole('button', { name: 'Forward' }).click()
      await page.locator('.window .editor img').waitFor({ state: 'attached' })
    }
    await forward()
    const window = page.locator('.window')
    await window.getByLabel('To', { exact: true }).fill(ALICE)
    await page.keyboard.press('Enter')
    await saved(window).waitFor()
    const holdsPicture = async () => {
      const [query] = await jmap(page, ['Email/query', { filter: { hasKeyword: '$draft', subject: 'The ferry' } }])
      const [{ list }] = await jmap(page, ['Email/get', { ids: query.ids, properties: ['bodyValues', 'htmlBody'], fetchHTMLBodyValues: true }])
      return list.map(({ bodyValues }) => Object.values(bodyValues).map(({ value }) => value).join(''))
    }
    const whole = (html) => html.includes(`src="${PICTURE.replace('&', '&amp;')}"`) && !/data-|\/mail\/image/.test(html)
    assert.deepEqual((await holdsPicture()).map(whole), [true])
    await page.keyboard.press('Escape')
    await window.waitFor({ state: 'detached' })
    await goOn(page, 'Fwd: The ferry')
    await window.getByLabel('Subject').fill('Fwd: The ferry at dawn')
    await window.locator('.state', { hasText: /Saved/ }).waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'Drafts', 'ferry at dawn', 1), 1)
    assert.deepEqual((await holdsPicture()).map(whole), [true])
    assert.deepEqual(asked, [], 'nothing was loaded while one wrote')
    await window.getByLabel('Discard the draft').click()
    // Who looks at them wants to see them in what is passed on too.
    await visit(page, '/mail/inbox')
    await row(page, 'The ferry').locator('.open').click()
    await page.getByRole('button', { name: 'Show pictures' }).click()
    await forward()
    assert.match(await window.locator('.editor img').getAttribute('src'), /^\/mail\/image\?/)
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async a_message_leaves_the_folder_that_is_shown_and_no_other(world) {
    const page = await enter(world)
    const open = async (subject, address) => {
      if (address) await visit(page, address)
      await row(page, subject).locator('.open').click()
      await page.locator('.conversation h1', { hasText: subject }).waitFor()
    }
    const subjects = ['Kept in two', 'Found in two', 'Thrown from one', 'Put off in two']
    let box
    for (const subject of subjects) box = await inBoth(world, page, subject, 'Both')
    await open('Kept in two')
    await press(page, 'e')
    await toast(page, 'archived').waitFor()
    await untilBoxes(page, 'Kept in two', ['Archive', 'Both'])
    await press(page, 'z')
    await untilBoxes(page, 'Kept in two', ['Both', 'Inbox'])
    await open('Kept in two', `/mail/${box}`)
    await press(page, 'e')
    await untilBoxes(page, 'Kept in two', ['Archive', 'Inbox'])
    await open('Found in two', '/search?q=Found')
    await press(page, 'e')
    await untilBoxes(page, 'Found in two', ['Archive', 'Both'])
    await open('Thrown from one', '/mail/inbox')
    await press(page, '#')
    await untilBoxes(page, 'Thrown from one', ['Both', 'Trash'])
    await open('Thrown from one', '/mail/trash')
    await press(page, '#')
    await page.locator('dialog').getByRole('button', { name: 'Delete for ever' }).click()
    await toast(page, 'message deleted').waitFor()
    await untilBoxes(page, 'Thrown from one', ['Both'])
    await open('Put off in two', '/mail/inbox')
    await press(page, 'b')
    await page.getByRole('menuitem', { name: 'Tomorrow morning' }).click()
    await untilBoxes(page, 'Put off in two', ['Both', 'Snoozed'])
    await done(page)
  },
  async a_folder_that_goes_takes_nothing_from_others(world) {
    const page = await enter(world)
    const box = await inBoth(world, page, 'Also elsewhere', 'Old project')
    await world.ask('append', 'Old project', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: Only in there\n\nText.\n`)
    await visit(page, `/mail/${box}`)
    await row(page, 'Only in there').waitFor()
    await page.locator('.folder', { hasText: 'Old project' }).hover()
    await page.getByRole('button', { name: 'What to do with Old project' }).click()
    await page.getByRole('menuitem', { name: 'Delete' }).click()
    await page.locator('dialog').getByRole('button', { name: 'Delete' }).click()
    await toast(page, 'deleted').waitFor()
    await untilBoxes(page, 'Only in there', ['Trash'])
    await untilBoxes(page, 'Also elsewhere', ['Inbox', 'Trash'])
    await page.locator('.folder', { hasText: 'Trash' }).hover()
    await page.getByRole('button', { name: 'What to do with Trash' }).click()
    await page.getByRole('menuitem', { name: 'Empty Trash' }).click()
    await page.locator('dialog').getByRole('button', { name: 'Empty Trash' }).click()
    await toast(page, 'deleted').last().waitFor()
    await untilBoxes(page, 'Only in there', [])
    await untilBoxes(page, 'Also elsewhere', ['Inbox'])
    await done(page)
  },
  async an_account_that_could_not_be_opened_is_opened_again(world) {
    const context = await world.browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB' })
    const page = (world.page = await context.newPage())
    page.setDefaultTimeout(AWAY)
    let refused = 0
    await page.route('**/.well-known/jmap', (route) => (refused++ < 2 ? route.fulfill({ status: 503 }) : route.continue()))
    await page.goto(`${world.stage.north}/login?to=%2Fmail%2Finbox`)
    await page.locator('input[autocomplete~=username]').fill(ALICE)
    await page.locator('input[type=password]').fill('posthouse')
    await page.locator('button[type=submit]').first().click()
    await page.getByText('It is asked again by itself').waitFor()
    await row(page, 'Letter 069').waitFor()
    assert.ok(refused > 2)
    await remembered(page, 60) // a page of the list
    // What the device remembers can be read while the mail itself cannot be asked for.
    let away = true
    await page.route(isApi, (route) => (away ? route.fulfill({ status: 503 }) : route.continue()))
    await page.reload()
    await row(page, 'Letter 069').waitFor()
    await page.locator('.offline').waitFor()
    away = false
    await page.locator('.offline').waitFor({ state: 'detached' })
    await context.close()
  },
  async an_answer_that_never_comes_stops_nothing_for_good(world) {
    const page = await enter(world)
    await page.addInitScript(() => {
      const { timeout } = AbortSignal
      AbortSignal.timeout = (ms) => timeout.call(AbortSignal, window.hurry ? 1_000 : ms)
    })
    await page.reload()
    await row(page, 'Letter 055').waitFor()
    await page.evaluate(() => (window.hurry = true))
    let lost = 0
    await page.route(isApi, (route) => (lost || !asks(route.request(), 'Email/changes') ? route.continue() : void lost++)) // never answered
    await world.ask('store', ALICE, 'INBOX', 'Letter 055', '\\Flagged', '+')
    await row(page, 'Letter 055').locator('.star.on').waitFor({ timeout: AWAY })
    assert.equal(lost, 1)
    await done(page)
  },
  async push_that_fell_silent_is_listened_to_anew(world) {
    const page = await enter(world)
    await page.clock.install()
    await page.reload()
    const joins = []
    page.on('request', (request) => request.resourceType() === 'eventsource' && joins.push(request.url()))
    await row(page, 'Letter 054').waitFor()
    await page.waitForTimeout(500)
    const before = joins.length
    await page.clock.fastForward(100_000) // nothing was heard for so long
    await page.waitForTimeout(1_500)
    assert.ok(joins.length > before)
    await world.ask('store', ALICE, 'INBOX', 'Letter 054', '\\Flagged', '+')
    await row(page, 'Letter 054').locator('.star.on').waitFor({ timeout: PATIENCE })
    await done(page)
  },
  async nothing_is_sent_without_a_file_that_could_not_be_uploaded(world) {
    const page = await enter(world)
    const window = await compose(page, { to: ALICE, subject: 'With its plan', text: 'See the file.' })
    await page.route((url) => url.pathname.startsWith('/jmap/upload'), (route) => route.abort())
    await page.setInputFiles('.window input[type=file]', { name: 'plan.txt', mimeType: 'text/plain', buffer: Buffer.from('the plan') })
    await toast(page, 'could not be uploaded').waitFor()
    await window.getByRole('button', { name: 'Send', exact: true }).click()
    await toast(page, 'take it away').waitFor()
    assert.equal(await world.ask('count', ALICE, 'Sent', 'With its plan'), 0)
    await window.getByRole('button', { name: 'Remove plan.txt' }).click()
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async whom_one_had_typed_stays_when_another_is_changed(world) {
    const page = await enter(world)
    const window = await compose(page, { to: 'bob@south.test', subject: 'Two of them', text: 'x' })
    await window.getByLabel('To', { exact: true }).fill('carol@south.test')
    await window.getByRole('button', { name: 'bob@south.test', exact: true }).click()
    await window.getByRole('button', { name: 'Remove carol@south.test' }).waitFor()
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async an_invitation_is_read_in_its_charset(world) {
    const page = await enter(world)
    const title = Buffer.from([0xc6, 0xc0, 0xc9, 0xf3, 0xbb, 0xe1])
    const lines = (...all) => Buffer.from(all.map((line) => `${line}\r\n`).join(''))
    const part = Buffer.concat([lines('BEGIN:VCALENDAR', 'METHOD:REQUEST', 'BEGIN:VEVENT', 'UID:gbk@road.test', 'DTSTART:20261203T130000Z'), Buffer.from('SUMMARY:'), title, lines('', 'ORGANIZER:mailto:writer@road.test', 'END:VEVENT', 'END:VCALENDAR')])
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: Meeting\nMIME-Version: 1.0\nContent-Type: text/calendar; charset=gb2312; method=REQUEST\nContent-Transfer-Encoding: base64\n\n${part.toString('base64')}\n`)
    let broken = true
    await page.route((url) => url.pathname.includes('/jmap/download/'), (route) => (broken ? route.abort() : route.continue()))
    await row(page, 'Meeting').locator('.open').click()
    await page.getByText('The invitation could not be loaded.').waitFor()
    broken = false
    await page.locator('article').getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('heading', { name: '评审会' }).waitFor()
    await done(page)
  },
  async what_is_passed_on_keeps_its_style_sheet(world) {
    const page = await enter(world)
    const sheet = 'body { background: #102030 } html body .price, td { color: #c00001 } p { letter-spacing: 7px } @media (max-width: 600px) { .price { font-size: 30px } }'
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: Lanterns\nMIME-Version: 1.0\nContent-Type: text/html\n\n<html><head><style>${sheet}</style></head><body><p class="price">Nine</p></body></html>\n`)
    await row(page, 'Lanterns').locator('.open').click()
    await page.locator('article iframe').waitFor()
    await page.locator('article').getByRole('button', { name: 'Forward' }).click()
    const window = page.locator('.window')
    await window.locator('.editor', { hasText: 'Nine' }).waitFor()
    await window.getByLabel('To', { exact: true }).fill(ALICE)
    await page.keyboard.press('Enter')
    await window.getByLabel('Text of the message').focus()
    await page.keyboard.press('Control+Home')
    await page.keyboard.type('My own words')
    await saved(window).waitFor()
    const sent = async (subject) => {
      const [query] = await jmap(page, ['Email/query', { filter: { hasKeyword: '$draft', subject } }])
      const [{ list }] = await jmap(page, ['Email/get', { ids: query.ids, properties: ['bodyValues', 'htmlBody'], fetchHTMLBodyValues: true }])
      assert.equal(list.length, 1)
      return Object.values(list[0].bodyValues)[0].value
    }
    /** How a program shows it that knows nothing of ours. */
    const looks = async (html, width) => {
      const reader = await world.browser.newPage({ viewport: { width, height: 600 } })
      await reader.setContent(html)
      const found = await reader.evaluate(() => {
        const price = document.querySelector('.price')
        const own = [...document.querySelectorAll('div')].findLast((each) => each.textContent.includes('My own words'))
        const { color, fontSize } = getComputedStyle(price)
        return { color, fontSize, under: getComputedStyle(price.closest('[class^=letter-]')).backgroundColor, own: getComputedStyle(own).letterSpacing, page: getComputedStyle(document.body).backgroundColor }
      })
      await reader.close()
      return found
    }
    const meant = { color: 'rgb(192, 0, 1)', fontSize: '16px', under: 'rgb(16, 32, 48)', own: 'normal', page: 'rgba(0, 0, 0, 0)' }
    assert.deepEqual(await looks(await sent('Lanterns'), 1000), meant)
    assert.deepEqual(await looks(await sent('Lanterns'), 500), { ...meant, fontSize: '30px' })
    await page.keyboard.press('Escape')
    await window.waitFor({ state: 'detached' })
    await goOn(page, 'Fwd: Lanterns')
    await window.getByLabel('Subject').fill('Fwd: Lanterns of the road')
    await saved(window).waitFor()
    assert.deepEqual(await looks(await sent('Lanterns of the road'), 500), { ...meant, fontSize: '30px' })
    // What is taken out of the text leaves nothing behind.
    await window.getByLabel('Text of the message').focus()
    await page.keyboard.press('Control+a')
    await page.keyboard.type('Only mine')
    await window.locator('.state', { hasText: /Not saved|Saving/ }).waitFor()
    await saved(window).waitFor()
    assert.doesNotMatch(await sent('Lanterns of the road'), /<style|Nine/)
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async a_letter_follows_colours_and_width(world) {
    const page = await enter(world, { colorScheme: 'light' })
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: Broad\nMIME-Version: 1.0\nContent-Type: text/html\n\n<p>In plain words</p><table width="1200"><tr><td width="1200">wide</td></tr></table>\n`)
    await row(page, 'Broad').locator('.open').click()
    const body = page.frameLocator('article iframe').locator('body')
    await body.getByText('In plain words').waitFor()
    const until = async (read, wanted) => {
      const end = Date.now() + PATIENCE
      while (!wanted(await body.evaluate(read))) {
        assert.ok(Date.now() < end, `${await body.evaluate(read)}`)
        await page.waitForTimeout(50)
      }
    }
    const ink = (element) => getComputedStyle(element).color
    const zoom = (element) => element.style.zoom
    const light = await body.evaluate(ink)
    await page.emulateMedia({ colorScheme: 'dark' })
    await until(ink, (now) => now !== light)
    const dark = await page.evaluate(() => getComputedStyle(document.body).color)
    await until(ink, (now) => now === dark)
    await until(zoom, (now) => Number(now) < 1)
    await page.setViewportSize({ width: 2400, height: 900 })
    await until(zoom, (now) => now === '')
    await done(page)
  },
  async a_moment_that_cannot_be_is_said_to_be_none(world) {
    const page = await enter(world)
    const dialog = page.locator('dialog[open]')
    const choose = async (value) => {
      await dialog.getByLabel('Choose a time').last().fill(value)
      await dialog.getByRole('button', { name: 'Set' }).click()
    }
    await row(page, 'Letter 066').locator('.open').click()
    await page.locator('.conversation h1', { hasText: 'Letter 066' }).waitFor()
    await page.keyboard.press('b')
    await page.getByRole('menuitem', { name: 'Choose a time' }).click()
    await choose('2020-01-02T09:00')
    await toast(page, 'has gone by').waitFor()
    assert.equal(await dialog.getByLabel('Choose a time').last().inputValue(), '2020-01-02T09:00')
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    const window = await compose(page, { to: ALICE, subject: 'In ten years', text: 'Good morning.' })
    await window.getByRole('button', { name: 'Send later' }).click()
    await page.getByRole('menuitem', { name: 'Choose a time' }).click()
    await choose(`${new Date().getFullYear() + 10}-01-02T09:00`)
    await toast(page, 'too far ahead').waitFor()
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    assert.equal(await world.ask('count', ALICE, 'Sent', 'In ten years'), 0)
    await window.getByLabel('Discard the draft').click()
    await done(page)
  },
  async what_a_search_finds_in_the_trash_is_destroyed_and_nothing_else(world) {
    const page = await enter(world)
    const letter = (id, more) => `From: writer@road.test\nTo: ${ALICE}\nSubject: ${more}Twice thrown\nMessage-ID: <${id}@road.test>\n`
    await world.ask('append', 'Trash', '', `${letter('thrown', '')}\nAway.\n`)
    await world.ask('append', 'INBOX', '', `${letter('kept', 'Re: ')}In-Reply-To: <thrown@road.test>\nReferences: <thrown@road.test>\n\nTo be kept.\n`)
    await row(page, 'Twice thrown').waitFor()
    await visit(page, `/search?q=${encodeURIComponent('in:trash "Twice thrown"')}`)
    await row(page, 'Twice thrown').locator('.check').click()
    await page.getByText('1 selected').waitFor()
    await page.keyboard.press('#')
    await page.locator('dialog').getByText('Delete 1 message for ever?').waitFor()
    await page.locator('dialog').getByRole('button', { name: 'Delete for ever' }).click()
    await toast(page, 'message deleted').waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'Trash', 'Twice thrown', 0), 0)
    assert.equal(await world.ask('count', ALICE, 'INBOX', 'Twice thrown'), 1)
    await done(page)
  },
  async all_can_be_ticked_also_what_was_not_looked_at(world) {
    const page = await enter(world)
    await row(page, 'Letter 069').waitFor()
    const total = Number((await page.locator('.pane-list header .numbers').textContent()).replace(/\D/g, ''))
    assert.ok(total > 60, `${total}: one page of the list`)
    await row(page, 'Letter 069').locator('.check').click()
    await page.getByText('1 selected').waitFor()
    await page.getByRole('button', { name: 'Select all' }).click()
    await page.getByText(`${total} selected`).waitFor()
    await page.getByRole('button', { name: 'Select all' }).waitFor({ state: 'detached' })
    await page.keyboard.press('Escape')
    await page.getByText('selected').waitFor({ state: 'detached' })
    await page.keyboard.press('*')
    await page.getByText(`${total} selected`).waitFor()
    const letters = await world.ask('count', ALICE, 'INBOX', 'Letter 0')
    await page.keyboard.press('e')
    await toast(page, `${total} conversations archived`).waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'INBOX', 'Letter 0', 0), 0)
    assert.equal(await world.ask('until_count', ALICE, 'Archive', 'Letter 0', letters), letters)
    await toast(page, `${total} conversations archived`).getByRole('button', { name: 'Undo' }).click()
    await row(page, 'Letter 069').waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'INBOX', 'Letter 0', letters), letters)
    await done(page)
  },
  async what_is_ticked_is_what_is_meant(world) {
    const page = await enter(world)
    const letter = (id, more) => `From: writer@road.test\nTo: ${ALICE}\nMessage-ID: <${id}@road.test>\nSubject: ${more}`
    await world.ask('append', 'INBOX', '', `${letter('ticked-1', 'Ticked and answered')}\n\nOne.\n`)
    await world.ask('append', 'INBOX', '', `${letter('ticked-2', 'Ticked and gone')}\n\nTwo.\n`)
    const both = ['Ticked and answered', 'Ticked and gone']
    for (const subject of both) await row(page, subject).waitFor() // one that comes moves the others under the pointer
    for (const subject of both) await row(page, subject).locator('.check').click()
    await page.getByText('2 selected').waitFor()
    await world.ask('append', 'INBOX', '', `${letter('ticked-3', 'Re: Ticked and answered')}\nIn-Reply-To: <ticked-1@road.test>\nReferences: <ticked-1@road.test>\n\nThree.\n`)
    await page.locator('.row', { hasText: 'Ticked and answered' }).locator('.count', { hasText: '2' }).waitFor()
    await page.locator('.row.selected', { hasText: 'Ticked and answered' }).waitFor()
    await world.ask('move', ALICE, 'INBOX', 'Archive', 'Ticked and gone')
    await row(page, 'Ticked and gone').waitFor({ state: 'detached' })
    await page.getByText('1 selected').waitFor()
    await page.keyboard.press('e') // the focus is in a box that was ticked
    await toast(page, '1 conversation archived').waitFor()
    assert.equal(await world.ask('until_count', ALICE, 'Archive', 'Ticked and answered', 2), 2)
    await done(page)
  },
  async what_is_ticked_and_gone_is_not_ticked_whoever_is_told_first(world) {
    const page = await enter(world)
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: Ticked, and gone from the list first\n\nOne.\n`)
    await row(page, 'Ticked, and gone from the list first').locator('.check').click()
    await page.getByText('1 selected').waitFor()
    // The list is told of what has gone, and only the next answer tells it of the message.
    let told = false
    await page.route(isApi, async (route) => {
      const asked = calls(route.request()).find(([name]) => name === 'Email/changes')
      if (!asked || told) return route.fallback()
      const response = await route.fetch()
      const body = await response.json()
      const answer = (wanted) => body.methodResponses.find(([name]) => name === wanted)?.[1]
      const { destroyed = [] } = answer('Email/changes')
      told = destroyed.some((id) => answer('Email/queryChanges')?.removed?.includes(id))
      if (told) Object.assign(answer('Email/changes'), { newState: asked[1].sinceState, created: [], updated: [], destroyed: [] })
      await route.fulfill({ response, json: body })
    })
    await world.ask('move', ALICE, 'INBOX', 'Archive', 'Ticked, and gone from the list first')
    await row(page, 'Ticked, and gone from the list first').waitFor({ state: 'detached' })
    assert.ok(told)
    await page.evaluate(() => dispatchEvent(new Event('online'))) // it asks again
    await page.getByText('1 selected').waitFor({ state: 'detached' })
    await done(page)
  },
  async every_row_is_at_hand_without_single_keys(world) {
    const page = await enter(world)
    await page.evaluate(() => localStorage.setItem('posthouse.keys-off', '1'))
    await page.reload()
    await row(page, 'Letter 069').waitFor()
    const at = (what) => page.waitForFunction((selector) => document.activeElement.matches(selector), `.row.current ${what}`)
    await page.locator('.scroller').focus()
    await page.keyboard.press('ArrowDown')
    await at('.open')
    const first = await page.evaluate(() => document.activeElement.getAttribute('aria-label'))
    await page.keyboard.press('ArrowDown')
    await page.waitForFunction((label) => document.activeElement.getAttribute('aria-label') !== label, first)
    await at('.open')
    await page.keyboard.press('Tab')
    await at('input')
    await page.keyboard.press('Space')
    await page.getByText('1 selected').waitFor()
    await page.keyboard.press('Tab')
    await at('.star')
    await page.keyboard.press('Enter')
    await page.locator('.row.current .star.on').waitFor()
    await page.keyboard.press('Enter')
    await page.locator('.row.current .star.on').waitFor({ state: 'detached' })
    await page.keyboard.press('ArrowUp')
    await page.waitForFunction((label) => document.activeElement.getAttribute('aria-label') === label, first)
    await page.keyboard.press('Enter')
    await page.locator('.conversation h1').waitFor()
    await done(page)
  },
  async sending_can_be_undone_whatever_else_is_done(world) {
    const page = await enter(world)
    await page.evaluate(() => localStorage.setItem('posthouse.undo', '30'))
    await page.reload()
    const subjects = ['Put away 1', 'Put away 2', 'Put away 3', 'Put away 4']
    for (const subject of subjects) await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: ${subject}\n\nText.\n`)
    for (const subject of subjects) await row(page, subject).waitFor()
    await compose(page, { to: 'carol@south.test', subject: 'On second thoughts', text: 'No.' })
    await page.keyboard.press(CHORD)
    await toast(page, 'Sent').waitFor()
    for (const subject of subjects) {
      await row(page, subject).locator('.open').click()
      await page.locator('.conversation h1', { hasText: subject }).waitFor()
      await page.keyboard.press('e')
      await row(page, subject).waitFor({ state: 'detached' })
    }
    await toast(page, 'Sent').getByText('Undo send').click()
    await toast(page, 'Not sent').waitFor()
    await page.locator('.window').getByLabel('Discard the draft').click()
    await done(page)
  },
  async an_undone_message_is_a_draft_again_whatever_was_heard_of_it_meanwhile(world) {
    const page = await enter(world)
    await page.evaluate(() => localStorage.setItem('posthouse.undo', '30'))
    await page.reload()
    let undone
    const isUndone = new Promise((resolve) => (undone = resolve))
    let left = false
    // Between two calls of one request others are answered: the page hears of the message while it is a draft, and not yet of its leaving.
    await page.route(isApi, async (route) => {
      const request = route.request()
      if (left && asks(request, 'Email/changes')) await isUndone
      if (left || !asks(request, 'EmailSubmission/set')) return route.continue()
      const [saving, sending] = calls(request)
      const part = async (call) => (await route.fetch({ postData: { ...request.postDataJSON(), methodCalls: [call] } })).json()
      const heard = (id) => async (response) => asks(response.request(), 'Email/changes') && (await response.text()).includes(`"id":"${id}"`)
      const saved = await part(saving)
      const { id } = saved.methodResponses[0][1].created.message
      await page.waitForResponse(heard(id))
      left = true
      sending[1].create.send.emailId = id
      const sent = await part(sending)
      await route.fulfill({ json: { ...sent, methodResponses: [...saved.methodResponses, ...sent.methodResponses] } })
    })
    await compose(page, { to: 'carol@south.test', subject: 'Sooner heard than sent', text: 'Wait.' })
    await page.keyboard.press(CHORD)
    await toast(page, 'Sent').getByText('Undo send').click()
    await toast(page, 'Not sent').waitFor()
    assert.ok(left)
    undone()
    assert.equal(await world.ask('until_count', ALICE, 'Drafts', 'Sooner heard than sent', 1), 1)
    assert.equal(await world.ask('count', ALICE, 'Sent', 'Sooner heard than sent'), 0)
    await page.locator('.window').getByLabel('Discard the draft').click()
    await done(page)
  },
  async where_one_message_is_is_not_said_of_another(world) {
    const page = await enter(world)
    await page.evaluate(() => localStorage.setItem('posthouse.undo', '5'))
    await page.reload()
    for (const to of ['bob@south.test', 'carol@south.test']) {
      const window = await compose(page, { to, subject: `To ${to}`, text: 'On its way.' })
      await page.keyboard.press(CHORD)
      await window.waitFor({ state: 'detached' })
    }
    await visit(page, '/track')
    const addresses = []
    for (const to of ['bob@south.test', 'carol@south.test']) addresses.push(await page.getByRole('link', { name: to }).first().getAttribute('href'))
    await visit(page, addresses[0])
    await page.getByRole('heading', { name: 'To bob@south.test' }).waitFor()
    let away = true
    await page.route(isApi, (route) => (away && asks(route.request(), 'Journey/get') ? route.fulfill({ status: 503 }) : route.fallback()))
    await visit(page, addresses[1])
    await page.getByText('The server does not answer.').waitFor()
    assert.equal(await page.getByRole('heading', { name: 'To bob@south.test' }).count(), 0)
    away = false
    await page.getByRole('button', { name: 'Try again' }).click({ timeout: 5_000 }).catch(() => {}) // it may have asked again by itself
    await page.getByRole('heading', { name: 'To carol@south.test' }).waitFor()
    await done(page)
  },
}
