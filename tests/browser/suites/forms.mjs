// Settings, contacts and administration when something goes wrong: what is typed stays, what is pressed twice is done once, and what
// happened is said. Every check opens a window of its own.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { signedIn, visit } from '../browser.mjs'
import { ALICE, asks, compose, done, enter, isApi, jmap, refuse, toast } from '../hands.mjs'
import { PATIENCE, row } from '../looking.mjs'

const PASSWORD = 'posthouse'
const dialog = (page) => page.locator('dialog[open]')
const field = (place, name) => place.getByRole('textbox', { name, exact: true })
const press = (page, name) => page.getByRole('button', { name, exact: true }).first().click()

async function go(world, address, options) {
  const page = await enter(world, options)
  await visit(page, address)
  return page
}
/** The two presses of somebody in a hurry. */
async function twice(button) {
  await button.evaluate((element) => {
    element.click()
    element.click()
  })
}
/** How often a method is asked for from now on. */
function count(page, method) {
  const counted = { n: 0 }
  page.on('request', (request) => {
    if (isApi(new URL(request.url())) && asks(request, method)) counted.n++
  })
  return counted
}
/** Another program makes contacts; their ids, by the same names. */
async function make(page, cards) {
  const [books] = await jmap(page, ['AddressBook/get', { ids: null }])
  const common = { '@type': 'Card', version: '1.0', addressBookIds: { [books.list[0].id]: true } }
  const [{ created }] = await jmap(page, ['ContactCard/set', { create: Object.fromEntries(Object.entries(cards).map(([name, card]) => [name, { ...common, ...card }])) }])
  return Object.fromEntries(Object.entries(created).map(([name, { id }]) => [name, id]))
}
/** Another program puts a message into the folder with a role, and deletes it for good; its id. */
async function lose(page, role, subject) {
  const [{ ids }] = await jmap(page, ['Mailbox/query', { filter: { role } }])
  const text = { textBody: [{ partId: 'text', type: 'text/plain' }], bodyValues: { text: { value: 'Hello.' } } }
  const [made] = await jmap(page, ['Email/set', { create: { lost: { mailboxIds: { [ids[0]]: true }, from: [{ name: 'Dora', email: 'dora@road.test' }], subject, ...text } } }])
  const { id } = made.created.lost
  await jmap(page, ['Email/set', { destroy: [id] }])
  return id
}
/** An input method at work: this key is its own. */
const composing = (locator, key) => locator.evaluate((element, name) => element.dispatchEvent(new KeyboardEvent('keydown', { key: name, isComposing: true, bubbles: true, cancelable: true })), key)

export const checks = {
  async a_signature_that_was_refused_stays_typed(world) {
    const page = await go(world, '/settings')
    const form = page.getByRole('form', { name: ALICE })
    await form.getByLabel('Signature').fill('With kind regards')
    await refuse(page, 'Identity/set')
    await form.getByRole('button', { name: /^Save/ }).click()
    await toast(page, 'Something went wrong at the server').waitFor()
    await page.waitForTimeout(500)
    assert.equal(await form.getByLabel('Signature').inputValue(), 'With kind regards')
    // Saving one address leaves alone what is typed for another.
    await press(page, 'Write as another address')
    await field(dialog(page), 'Address').fill('info@north.test')
    await dialog(page).getByRole('button', { name: 'Create' }).click()
    const other = page.getByRole('form', { name: 'info@north.test' })
    await other.getByLabel('Signature').fill('The office')
    await form.getByRole('button', { name: /^Save/ }).click()
    await toast(page, 'Saved').waitFor()
    await page.waitForTimeout(500)
    assert.equal(await other.getByLabel('Signature').inputValue(), 'The office')
    await done(page)
  },
  async a_signature_takes_the_place_of_one_in_html(world) {
    const page = await enter(world)
    const [{ list }] = await jmap(page, ['Identity/get', { ids: null }])
    const id = list.find(({ email }) => email === ALICE).id
    await jmap(page, ['Identity/set', { update: { [id]: { htmlSignature: '<b>Of another program</b>' } } }])
    await visit(page, '/settings')
    const form = page.getByRole('form', { name: ALICE })
    await form.getByLabel('Signature').fill('Written here')
    await form.getByRole('button', { name: /^Save/ }).click()
    await toast(page, 'Saved').waitFor()
    await page.waitForTimeout(300)
    await visit(page, '/compose')
    await page.locator('.window .signature', { hasText: 'Written here' }).waitFor()
    await page.locator('.window').getByLabel('Discard the draft').click()
    await done(page)
  },
  async a_signature_changed_elsewhere_is_used_at_once(world) {
    const page = await go(world, '/settings')
    const form = page.getByRole('form', { name: ALICE })
    await form.waitFor()
    const [{ list }] = await jmap(page, ['Identity/get', { ids: null }])
    const { id } = list.find(({ email }) => email === ALICE)
    const elsewhere = (textSignature) => jmap(page, ['Identity/set', { update: { [id]: { textSignature, htmlSignature: '' } } }])
    await elsewhere('From the other window')
    await page.waitForFunction((text) => [...document.querySelectorAll('#signature textarea')].some(({ value }) => value === text), 'From the other window')
    await visit(page, '/compose')
    await page.locator('.window .signature', { hasText: 'From the other window' }).waitFor()
    await page.locator('.window').getByLabel('Discard the draft').click()
    // What is saved here takes nothing back of what was changed there.
    await visit(page, '/settings')
    await form.getByLabel('Name').fill('Alice of the North')
    await elsewhere('Changed meanwhile')
    await page.waitForTimeout(500)
    assert.equal(await form.getByLabel('Name').inputValue(), 'Alice of the North')
    await form.getByRole('button', { name: /^Save/ }).click()
    await toast(page, 'Saved').waitFor()
    const [after] = await jmap(page, ['Identity/get', { ids: [id] }])
    assert.deepEqual([after.list[0].name, after.list[0].textSignature], ['Alice of the North', 'Changed meanwhile'])
    await done(page)
  },
  async nothing_is_ended_without_a_question(world) {
    const page = await enter(world)
    const TABLET = 'Tablet of the office on the third floor, to the left'
    const [made] = await jmap(page, ['AppPassword/create', { name: TABLET, scope: ['imap'], expiresAt: 0, password: PASSWORD }])
    assert.ok(made.password)
    const ended = count(page, 'AppPassword/destroy')
    const locked = count(page, 'AdminAccount/set')
    await page.setViewportSize({ width: 360, height: 740 })
    await visit(page, '/settings')
    await press(page, `Revoke: ${TABLET}`)
    await dialog(page).getByText('cannot log in any more').waitFor()
    assert.ok(await dialog(page).locator('h2').evaluate((title) => title.scrollWidth <= title.clientWidth), 'what it is about can be read on a phone')
    await dialog(page).getByRole('button', { name: 'Cancel' }).click()
    assert.equal(ended.n, 0)
    await press(page, `Revoke: ${TABLET}`)
    await dialog(page).getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('button', { name: `Revoke: ${TABLET}` }).waitFor({ state: 'detached' })
    await visit(page, '/admin/accounts')
    await press(page, 'Lock: dora@north.test')
    await dialog(page).getByText('Nobody can log in to it').waitFor()
    await dialog(page).getByRole('button', { name: 'Cancel' }).click()
    assert.equal(locked.n, 0)
    await press(page, 'Lock: dora@north.test')
    await dialog(page).getByRole('button', { name: 'Lock' }).click()
    await press(page, 'Unlock: dora@north.test')
    await page.getByRole('button', { name: 'Lock: dora@north.test', exact: true }).waitFor()
    await done(page)
  },
  async identities_that_cannot_be_read_are_asked_for_again(world) {
    const page = await enter(world)
    await refuse(page, 'Identity/get')
    await visit(page, '/settings')
    await page.locator('#signature').getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('form', { name: ALICE }).waitFor()
    await done(page)
  },
  async an_answer_for_those_who_write_is_not_emptied_unseen(world) {
    const page = await enter(world)
    await jmap(page, ['VacationResponse/set', { update: { singleton: { isEnabled: true, subject: 'Away', textBody: 'In the mountains.', htmlBody: '<p>In the mountains.</p>' } } }])
    await refuse(page, 'VacationResponse/get')
    await visit(page, '/settings')
    const section = page.locator('#vacation')
    await section.getByRole('button', { name: 'Try again' }).waitFor()
    assert.equal(await section.getByRole('button', { name: /^Save/ }).count(), 0)
    await section.getByRole('button', { name: 'Try again' }).click()
    assert.equal(await section.getByLabel('Text').inputValue(), 'In the mountains.')
    await section.getByLabel('Text').fill('At the sea.')
    await section.getByRole('button', { name: /^Save/ }).click()
    await toast(page, 'Senders are answered').waitFor()
    const [{ list }] = await jmap(page, ['VacationResponse/get', { ids: null }])
    assert.equal(list[0].textBody, 'At the sea.')
    assert.equal(list[0].htmlBody, null, 'nothing is sent beside what is written here')
    await done(page)
  },
  async deleted_mail_is_brought_back(world) {
    const page = await enter(world)
    const whole = async (id) => (await jmap(page, ['Email/get', { ids: [id], properties: ['mailboxIds'] }]))[0].list.length === 1
    const lost = [await lose(page, 'archive', 'The deed'), await lose(page, 'trash', 'The receipt'), await lose(page, 'archive', 'The secret')]
    await visit(page, '/mail/trash')
    await press(page, 'Deleted mail')
    const section = page.locator('#deleted')
    await section.locator('li', { hasText: 'The receipt' }).getByText(/from Trash/).waitFor()
    await refuse(page, 'DeletedEmail/restore')
    await section.getByRole('button', { name: 'Bring back: The deed' }).click()
    await toast(page, 'went wrong').waitFor()
    assert.equal(await whole(lost[0]), false)
    for (const [name, id] of [['The deed', lost[0]], ['The receipt', lost[1]]]) {
      await section.getByRole('button', { name: `Bring back: ${name}` }).click()
      await section.locator('li', { hasText: name }).waitFor({ state: 'detached' })
      assert.ok(await whole(id), name)
    }
    await section.getByRole('button', { name: 'Delete for good: The secret' }).click()
    await dialog(page).getByRole('button', { name: 'Delete for good' }).click()
    await section.getByText('Nothing was deleted lately.').waitFor()
    assert.deepEqual((await jmap(page, ['DeletedEmail/restore', { ids: [lost[2]] }]))[0].notFound, [lost[2]])
    // Who is asked whether it shall go is told the way back, where there is one.
    await visit(page, '/mail/inbox')
    await row(page, 'The receipt').getByRole('checkbox').click()
    await page.keyboard.press('#')
    await visit(page, '/mail/trash')
    await row(page, 'The receipt').getByRole('checkbox').click()
    await page.keyboard.press('#')
    await dialog(page).getByText('For 14 days it can be had back').waitFor()
    await jmap(page, ['Email/set', { destroy: lost.slice(0, 2) }])
    await jmap(page, ['DeletedEmail/destroy', { ids: lost }])
    await done(page)
  },
  async a_masked_address_hides_whose_it_is(world) {
    const page = await go(world, '/settings/masked')
    const section = page.locator('#masked')
    await section.getByText('None was made yet.').waitFor()
    await refuse(page, 'MaskedEmail/set')
    await section.getByLabel('For the site').fill('https://fjord.test')
    await section.getByLabel('Note', { exact: true }).fill('Lamps')
    await press(page, 'Make an address')
    await toast(page, 'went wrong').waitFor()
    assert.equal(await section.getByLabel('Note', { exact: true }).inputValue(), 'Lamps', 'what was typed stays')
    await press(page, 'Make an address')
    const line = section.locator('li')
    await line.getByText('https://fjord.test · Lamps · no mail yet').waitFor()
    const address = await line.locator('.mono').innerText()
    assert.match(address, /^[a-z]+\.[a-z]+\d{4}@north\.test$/)
    assert.equal(await world.ask('write_to', address, 'A lamp for you'), 250)
    await visit(page, '/mail/inbox')
    await row(page, 'A lamp for you').click()
    await page.getByText('Hello', { exact: true }).last().waitFor()
    await page.keyboard.press('r')
    const from = page.locator('.window .from select')
    await from.waitFor()
    assert.equal(await from.locator('option:checked').innerText(), address, 'the answer is written as the masked address')
    await page.locator('.window').getByRole('button', { name: /^(Discard|Delete)/ }).first().click()
    await visit(page, '/settings/masked')
    await line.getByText(/Lamps · last mail/).waitFor()
    for (const [state, code] of [['deleted', 550], ['disabled', 250]]) {
      await Promise.all([page.waitForResponse((response) => asks(response.request(), 'MaskedEmail/set')), line.getByRole('combobox').selectOption(state)])
      assert.equal(await world.ask('write_to', address, 'Another lamp'), code)
    }
    assert.equal(await world.ask('until_count', ALICE, 'Trash', 'Another lamp', 1), 1)
    await line.getByRole('button', { name: `Note: ${address}` }).click()
    await dialog(page).getByRole('textbox').fill('No more lamps')
    await dialog(page).getByRole('button', { name: 'Save' }).click()
    await line.getByText(/No more lamps/).waitFor()
    await line.getByRole('button', { name: `Note: ${address}` }).click()
    await dialog(page).getByRole('textbox').fill('')
    await dialog(page).getByRole('button', { name: 'Save' }).click()
    await line.getByText(/^https:\/\/fjord\.test · last mail/).waitFor()
    await line.getByRole('button', { name: `Remove: ${address}` }).click()
    await dialog(page).getByRole('button', { name: 'Remove for good' }).click()
    await section.getByText('None was made yet.').waitFor()
    assert.equal(await world.ask('write_to', address, 'The last lamp'), 550)
    // Nobody is offered to write as it any more.
    await visit(page, '/mail/inbox')
    await compose(page, { to: 'bob@south.test', subject: 'No lamp', text: 'None' })
    await page.waitForFunction((address) => ![...document.querySelectorAll('.window .from option')].some((option) => option.textContent === address), address)
    const [{ list }] = await jmap(page, ['Identity/get', {}])
    assert.deepEqual(list.filter(({ email }) => email === address), [])
    await page.locator('.window').getByRole('button', { name: /^(Discard|Delete)/ }).first().click()
    await done(page)
  },
  async two_presses_make_one_password(world) {
    const page = await go(world, '/settings')
    await press(page, 'New app password')
    await field(dialog(page), 'Device or program').fill('Telephone')
    await field(dialog(page), 'Password').fill(PASSWORD)
    const made = count(page, 'AppPassword/create')
    await twice(dialog(page).getByRole('button', { name: 'Create' }))
    await dialog(page).locator('.mono').waitFor()
    await page.waitForTimeout(1_000)
    assert.equal(made.n, 1)
    // It is shown this once: a press beside the window does not take it away.
    await page.mouse.click(5, 5)
    assert.equal(await dialog(page).count(), 1)
    await dialog(page).getByRole('button', { name: 'Done' }).click()
    assert.equal(await page.locator('#app-passwords').getByText('Telephone').count(), 1)
    await done(page)
  },
  async who_selects_a_text_and_lets_go_beside_the_window_keeps_it(world) {
    const page = await go(world, '/settings')
    await press(page, 'New app password')
    const name = field(dialog(page), 'Device or program')
    await name.fill('A long name')
    const box = await name.boundingBox()
    await page.mouse.move(box.x + 60, box.y + box.height / 2)
    await page.mouse.down()
    await page.mouse.move(5, box.y, { steps: 5 })
    await page.mouse.up()
    assert.equal(await name.inputValue(), 'A long name')
    await page.mouse.click(5, 5)
    await dialog(page).waitFor({ state: 'detached' })
    await done(page)
  },
  async a_wrong_password_is_asked_for_again(world) {
    const page = await go(world, '/settings')
    await press(page, 'Change the password')
    await field(dialog(page), 'New password').fill('short')
    await dialog(page).getByRole('button', { name: 'Go on' }).click()
    assert.equal(await dialog(page).getByText('At least eight characters').count(), 1)
    await field(dialog(page), 'New password').fill('four words are better')
    await dialog(page).getByRole('button', { name: 'Go on' }).click()
    const changes = count(page, 'Security/changePassword')
    await field(dialog(page), 'Password').fill('mistyped')
    await dialog(page).getByRole('button', { name: 'Go on' }).click()
    await toast(page, 'The password is not right').waitFor()
    await field(dialog(page), 'Password').fill(PASSWORD)
    await refuse(page, 'Security/changePassword', { type: 'invalidArguments', description: 'kept as it is for the other checks' })
    await dialog(page).getByRole('button', { name: 'Go on' }).click()
    await toast(page, 'That cannot be').waitFor()
    assert.equal(changes.n, 2)
    await done(page)
  },
  async copied_is_said_of_what_was_copied(world) {
    const page = await go(world, '/settings')
    await page.evaluate(() => {
      Object.defineProperty(navigator, 'clipboard', { value: undefined }) // a page without TLS
      document.addEventListener('copy', () => (window.copied = document.activeElement.value))
    })
    const button = page.locator('#programs').getByRole('button', { name: `Copy: ${ALICE}` })
    await button.click()
    await page.locator('#programs').getByRole('button', { name: 'Copied' }).waitFor()
    assert.equal(await page.evaluate(() => window.copied), ALICE)
    await button.waitFor()
    await page.evaluate(() => (document.execCommand = () => false))
    await button.click()
    await toast(page, 'Not copied').waitFor()
    await done(page)
  },
  async who_is_signed_out_is_asked_to_sign_in(world) {
    for (const [address, act] of [
      ['/settings', (page) => page.getByRole('form', { name: ALICE }).getByRole('button', { name: /^Save/ }).click()],
      ['/admin/accounts', (page) => press(page, 'Lock: dora@north.test').then(() => dialog(page).getByRole('button', { name: 'Lock' }).click())],
    ]) {
      const page = await go(world, address)
      await page.locator('form, .lines > li').first().waitFor()
      await page.getByRole('button', { name: address === '/settings' ? `Save: ${ALICE}` : 'Lock: dora@north.test', exact: true }).waitFor()
      await page.context().clearCookies()
      await act(page)
      await page.waitForURL(/\/login\?to=/)
      await page.context().close()
    }
  },
  async a_failure_of_the_server_is_said_in_words(world) {
    const page = await go(world, '/admin/domains')
    const name = page.locator('.admin .name', { hasText: 'north.test' }).first()
    await name.waitFor()
    let broken = 1
    await page.route(isApi, (route) => (broken && asks(route.request(), 'AdminDomain/records') && broken-- ? route.fulfill({ status: 500 }) : route.fallback()))
    await name.click()
    await page.getByText('Something went wrong at the server').waitFor()
    assert.equal(await page.getByText('500', { exact: true }).count(), 0)
    await press(page, 'Try again')
    await page.locator('.records li').first().waitFor()
    await done(page)
  },
  async every_setting_is_found_by_what_it_says(world) {
    const page = await go(world, '/settings')
    await page.locator('#app-passwords').waitFor()
    const search = page.getByRole('searchbox', { name: 'Find a setting' })
    for (const [typed, id] of [['dark', 'looks'], ['undo', 'sending'], ['answers go to', 'signature'], ['Last day', 'vacation']]) {
      await search.fill(typed)
      await page.waitForFunction((wanted) => [...document.querySelectorAll('.page section')].every((each) => each.hidden === (each.id !== wanted)), id)
    }
    await search.fill('submarine')
    await page.getByText('No setting is called so.').waitFor()
    await search.fill('')
    await page.getByText('No setting is called so.').waitFor({ state: 'hidden' })
    await done(page)
  },
  async an_import_is_not_left_unasked(world) {
    const page = await go(world, '/settings/transfer')
    let free
    const held = new Promise((resolve) => (free = resolve))
    await page.route(isApi, async (route) => {
      if (asks(route.request(), 'Email/import')) await held
      await route.continue()
    })
    await page.getByLabel('Files').setInputFiles({ name: 'old.mbox', mimeType: 'application/mbox', buffer: Buffer.from('From x@y.test Thu Nov  5 08:09:11 2026\nFrom: x@y.test\nSubject: Slow\nMessage-ID: <slow@y.test>\n\nText.\n\n') })
    await press(page, 'Import')
    await page.locator('progress').waitFor()
    await page.locator('.brand').click()
    await dialog(page).getByText('It is not done yet').waitFor()
    await dialog(page).getByRole('button', { name: 'Cancel' }).click()
    free()
    await page.getByText('one message taken.').waitFor()
    await page.locator('.brand').click()
    await page.waitForURL(/\/mail\/inbox/)
    await done(page)
  },
  async what_cannot_be_read_is_named_and_the_rest_exported(world) {
    const page = await enter(world)
    for (const subject of ['Torn', 'Late', 'Whole']) await world.ask('append', 'Archive', '', `From: x@y.test\nTo: ${ALICE}\nSubject: ${subject}\n\nText of ${subject}.\n`)
    const [query] = await jmap(page, ['Email/query', { filter: { from: 'x@y.test' } }])
    const [{ list }] = await jmap(page, ['Email/get', { ids: query.ids, properties: ['blobId', 'subject'] }])
    const blob = (subject) => list.find((each) => each.subject === subject).blobId
    let late = 1
    let free
    let held = new Promise((resolve) => (free = resolve))
    await page.route((url) => url.pathname.startsWith('/jmap/download/'), async (route) => {
      await held
      const path = new URL(route.request().url()).pathname
      if (path.includes(`/${blob('Torn')}/`)) return route.fulfill({ status: 200, body: 'From: x@y' })
      if (path.includes(`/${blob('Late')}/`) && late-- > 0) return route.fulfill({ status: 503 })
      return route.continue()
    })
    await visit(page, '/settings/transfer')
    await page.locator('option', { hasText: 'Archive (3)' }).waitFor({ state: 'attached' })
    await page.getByRole('combobox', { name: 'What' }).selectOption({ label: 'Archive (3)' })
    await press(page, 'Export')
    await press(page, 'Stop')
    free()
    await page.getByText('Stopped. No file was made.').waitFor()
    const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Export')])
    const text = readFileSync(await download.path(), 'utf8')
    assert.deepEqual(text.match(/^Text of \w+/gm).sort(), ['Text of Late', 'Text of Whole'])
    await page.getByRole('alert').getByText('One message could not be read and is not in it: Torn').waitFor()
    await done(page)
  },
  async a_message_that_is_too_large_keeps_no_other_out(world) {
    const page = await go(world, '/settings/transfer')
    await page.route((url) => url.pathname.startsWith('/jmap/upload/'), (route) => (route.request().postData()?.includes('Subject: Huge') ? route.fulfill({ status: 413, json: { type: 'urn:ietf:params:jmap:error:limit' } }) : route.continue()))
    const letter = (subject) => `From x@y.test Thu Nov  5 08:09:11 2026\nFrom: x@y.test\nSubject: ${subject}\nMessage-ID: <${subject}@y.test>\n\nText.\n\n`
    await page.getByLabel('Files').setInputFiles({ name: 'old.mbox', mimeType: 'application/mbox', buffer: Buffer.from(['First', 'Huge', 'Last'].map(letter).join('')) })
    await press(page, 'Import')
    await page.getByRole('alert').getByText('2 messages taken. One could not be taken.').waitFor()
    await done(page)
  },
  async a_passkey_that_was_not_made_is_no_refusal(world) {
    const page = await go(world, '/settings')
    await page.evaluate(() => (navigator.credentials.create = () => Promise.reject(new DOMException('put away', 'NotAllowedError'))))
    await press(page, 'Add a passkey')
    await field(dialog(page), 'Name of the device').fill('Laptop')
    await dialog(page).getByRole('button', { name: 'Go on' }).click()
    await field(dialog(page), 'Password').fill(PASSWORD)
    await dialog(page).getByRole('button', { name: 'Go on' }).click()
    await toast(page, 'No passkey was made').waitFor()
    await done(page)
  },
  async keys_of_an_input_method_are_its_own(world) {
    const page = await enter(world)
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: To be filed\n\nText.\n`)
    await page.locator('.row', { hasText: 'To be filed' }).locator('.open').click()
    await page.locator('.conversation h1', { hasText: 'To be filed' }).waitFor()
    await page.keyboard.press('m')
    const filter = page.getByLabel('Find a folder')
    await filter.fill('ar')
    await composing(filter, 'Enter')
    await composing(filter, 'Escape')
    assert.equal(await filter.inputValue(), 'ar')
    assert.equal(await world.ask('count', ALICE, 'INBOX', 'To be filed'), 1)
    await page.keyboard.press('Escape')
    await visit(page, '/contacts/all/new')
    const name = field(page.locator('form'), 'Name')
    await composing(name, 'Escape')
    await page.waitForTimeout(300)
    assert.match(page.url(), /\/contacts\/all\/new/)
    await done(page)
  },
  async what_is_typed_into_a_menu_stays_when_mail_comes(world) {
    const page = await enter(world)
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: To be moved\n\nText.\n`)
    await page.locator('.row', { hasText: 'To be moved' }).locator('.open').click()
    await page.locator('.conversation h1', { hasText: 'To be moved' }).waitFor()
    await page.keyboard.press('m')
    const filter = page.getByLabel('Find a folder')
    await filter.fill('ar')
    await world.ask('append', 'INBOX', '', `From: writer@road.test\nTo: ${ALICE}\nSubject: Comes meanwhile\n\nText.\n`)
    await page.locator('.row', { hasText: 'Comes meanwhile' }).waitFor()
    assert.equal(await filter.inputValue(), 'ar')
    await page.keyboard.press('Enter')
    await toast(page, 'moved to Archive').waitFor()
    await done(page)
  },
  async a_contact_that_is_saved_while_others_are_read_is_there(world) {
    const page = await go(world, '/contacts/all')
    await page.getByRole('button', { name: 'New contact' }).first().waitFor()
    let held
    const holds = new Promise((resolve) => (held = resolve))
    let release
    const released = new Promise((resolve) => (release = resolve))
    await page.route(isApi, async (route) => {
      if (!asks(route.request(), 'ContactCard/changes') || !held) return route.fallback()
      const tell = held
      held = undefined
      const response = await route.fetch() // how it is before
      tell()
      await released
      await route.fulfill({ response })
    })
    await make(page, { else: { name: { full: 'Somebody else' } } })
    await holds
    await visit(page, '/contacts/all/new')
    await field(page.locator('form'), 'Name').fill('Anna Berg')
    await press(page, 'Save')
    await page.waitForTimeout(1_000)
    release()
    await page.getByRole('heading', { name: 'Anna Berg' }).waitFor()
    await done(page)
  },
  async two_windows_put_people_into_one_group(world) {
    const page = await enter(world)
    const people = ['Bo One', 'Cy Two', 'Di Three']
    const ids = await make(page, Object.fromEntries(people.map((full, index) => [`p${index}`, { name: { full }, uid: `person-${index}` }])))
    const { group: id } = await make(page, { group: { kind: 'group', uid: 'the-group', name: { full: 'Choir' }, members: { 'person-0': true } } })
    await visit(page, `/contacts/all/${ids.p1}`)
    const member = page.getByRole('button', { name: 'Choir', exact: true })
    await member.waitFor()
    // The window hears nothing of what another one does meanwhile.
    let deaf = true
    await page.route(isApi, (route) => (deaf && asks(route.request(), 'ContactCard/changes') ? route.abort() : route.fallback()))
    await jmap(page, ['ContactCard/set', { update: { [id]: { 'members/person-2': true } } }])
    await member.click()
    await page.waitForTimeout(1_000)
    deaf = false
    const [{ list }] = await jmap(page, ['ContactCard/get', { ids: [id] }])
    assert.deepEqual(Object.keys(list[0].members).sort(), ['person-0', 'person-1', 'person-2'])
    await page.context().close()
  },
  async a_contact_begun_in_a_group_is_in_it(world) {
    const page = await go(world, '/contacts/all')
    await press(page, 'New group')
    await field(dialog(page), 'Name of the group').fill('Rowers')
    await dialog(page).getByRole('button', { name: 'Create' }).click()
    await page.waitForURL(/\/contacts\/group-/)
    await page.getByText('Nobody is in it yet.').waitFor()
    await press(page, 'New contact')
    await field(page.locator('form'), 'Name').fill('Ed Four')
    await press(page, 'Save')
    await page.getByRole('list', { name: 'Contacts' }).getByText('Ed Four').waitFor()
    await page.getByRole('button', { name: 'Rowers', pressed: true }).waitFor()
    // The first that is found is opened with Enter.
    await page.getByRole('searchbox', { name: 'Find in contacts' }).fill('four')
    await visit(page, page.url().replace(/\/[^/]*$/, '').replace(/^https?:\/\/[^/]+/, ''))
    await page.getByRole('searchbox', { name: 'Find in contacts' }).press('Enter')
    await page.getByRole('heading', { name: 'Ed Four' }).waitFor()
    await done(page)
  },
  async what_is_typed_of_a_contact_outlives_the_contact(world) {
    const page = await enter(world)
    const { flo } = await make(page, { flo: { name: { full: 'Flo Five' } } })
    await visit(page, `/contacts/all/${flo}/edit`)
    await page.getByLabel('Note').fill('Three pages of notes')
    await jmap(page, ['ContactCard/set', { destroy: [flo] }])
    await page.getByRole('list', { name: 'Contacts' }).getByText('Flo Five').waitFor({ state: 'detached', timeout: PATIENCE })
    assert.equal(await page.getByLabel('Note').inputValue(), 'Three pages of notes')
    await press(page, 'Save')
    await toast(page, 'It is not there').waitFor()
    assert.equal(await page.getByLabel('Note').inputValue(), 'Three pages of notes')
    await page.context().close()
  },
  async a_line_of_the_log_stands_there_once(world) {
    const page = await enter(world)
    await page.route(isApi, async (route) => {
      if (asks(route.request(), 'AdminTimeline/latest')) await new Promise((resolve) => setTimeout(resolve, 3_000)) // longer than the pause between two
      await route.continue()
    })
    await visit(page, '/admin/log')
    await page.locator('ol > li').first().waitFor()
    await page.waitForTimeout(6_000)
    const lines = await page.locator('ol > li').allInnerTexts()
    const [{ result }] = await jmap(page, ['AdminTimeline/latest', {}])
    assert.ok(lines.length <= result.length, `${lines.length} lines of ${result.length}`)
    await done(page)
  },
  async what_is_not_found_is_said(world) {
    const page = await enter(world)
    for (const name of ['accounts', 'aliases', 'queue', 'suppressions', 'rejects', 'log']) {
      await visit(page, `/admin/${name}`)
      await page.locator('.lines > li, ol > li, article').first().waitFor()
      await page.locator('.admin input[type=search]').fill('submarine')
      await page.getByText('Nothing is called so.').waitFor()
    }
    await done(page)
  },
  async two_presses_add_one_account(world) {
    const page = await go(world, '/admin/accounts')
    await press(page, 'Add an account')
    await field(dialog(page), 'Address').fill('gus@north.test')
    await field(dialog(page), 'Password').fill('eight characters')
    const added = count(page, 'AdminAccount/add')
    await twice(dialog(page).getByRole('button', { name: 'Create' }))
    await page.locator('.lines > li', { hasText: 'gus@north.test' }).waitFor()
    await page.waitForTimeout(500)
    assert.equal(added.n, 1)
    assert.equal(await page.locator('.toast.trouble').count(), 0)
    await done(page)
  },
  async administration_is_for_administrators(world) {
    const page = (world.page = await signedIn(world.browser, world.stage.north, 'dora@north.test'))
    await visit(page, '/admin/accounts')
    await page.getByText('There is no page at this address.').waitFor()
    await page.locator('.account').click()
    await page.getByRole('menuitem', { name: 'Settings' }).waitFor()
    assert.equal(await page.getByRole('menuitem', { name: 'Administration' }).count(), 0)
    await done(page)
  },
}
