// A day in the webmail, while IMAP and a second browser watch the same account.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { signedIn, visit } from '../browser.mjs'
import { atOnce, now, PATIENCE, row } from '../looking.mjs'

const CHORD = 'Control+Enter'

const toast = (page, text) => page.locator('.toast', { hasText: text })

/** What a page asks by JMAP from now on: for each request its calls. */
function requestsOf(page) {
  const requests = []
  page.on('request', (request) => {
    if (request.method() === 'POST' && new URL(request.url()).pathname === '/jmap/') requests.push(request.postDataJSON().methodCalls)
  })
  return requests
}
const folder = (page, name) => page.locator('.pane-folders').getByRole('link', { name })

/** In a page: how the row with `text` named its people when it was first there, whatever page is loaded meanwhile. */
function rememberFirstSenders(text) {
  new MutationObserver(() => {
    const row = [...document.querySelectorAll('.row')].find((each) => each.textContent.includes(text))
    if (row && !sessionStorage.getItem('first-senders')) sessionStorage.setItem('first-senders', row.querySelector('.people').innerText)
  }).observe(document, { childList: true, subtree: true, characterData: true })
}

async function open(page, text) {
  await row(page, text).locator('.open').click()
  await page.locator('.conversation h1', { hasText: text }).waitFor()
}
async function inbox(page) {
  await visit(page, '/mail/inbox')
  await row(page, 'Budget for the third quarter').waitFor()
}
/** A finger that goes sideways over a row, some pixels to the right (or, less than none, to the left). */
async function wipe(page, locator, distance) {
  const box = await locator.boundingBox()
  const client = await page.context().newCDPSession(page)
  const touch = (type, x) => client.send('Input.dispatchTouchEvent', { type, touchPoints: x === undefined ? [] : [{ x, y: box.y + box.height / 2 }] })
  const start = box.x + box.width / 2
  await touch('touchStart', start)
  for (let step = 1; step <= 7; step++) await touch('touchMove', start + (distance * step) / 7)
  await touch('touchEnd')
  await client.detach()
}
async function compose(page, { to, subject, text }) {
  await page.locator('.pane-folders, .drawer, nav').getByRole('button', { name: 'Compose' }).first().click()
  await page.getByLabel('To', { exact: true }).fill(to)
  await page.keyboard.press('Enter')
  await page.getByLabel('Subject').fill(subject)
  await page.getByLabel('Text of the message').click()
  await page.keyboard.type(text)
}

export const checks = {
  async log_in_and_read(world) {
    const { north, south } = world.stage
    const people = [[north, 'alice@north.test'], [north, 'alice@north.test'], [south, 'carol@south.test']]
    ;[world.page, world.other, world.carol] = await Promise.all(people.map(([base, address]) => signedIn(world.browser, base, address)))
    await row(world.page, 'Budget for the third quarter').waitFor()
    await row(world.other, 'Budget for the third quarter').waitFor()
    assert.match(await row(world.page, 'Budget').getAttribute('class'), /unread/)
    await open(world.page, 'Budget for the third quarter')
    await world.page.locator('article').getByText('Travel is a fifth under').waitFor()
    await world.page.getByText('south.test confirms that it sent this').waitFor()
  },
  async how_long_sending_can_be_undone_is_a_setting({ page, carol }) {
    await visit(page, '/settings/sending')
    await page.getByLabel('Time to undo').selectOption('5 seconds')
    await page.reload()
    assert.equal(await page.getByLabel('Time to undo').inputValue(), '5')
    await carol.evaluate(() => localStorage.setItem('posthouse.undo', '5'))
    await carol.reload()
    await inbox(page)
  },
  async a_draft_is_seen_by_imap_and_sent({ page, ask }) {
    await compose(page, { to: 'carol@south.test', subject: 'The lighthouse keys', text: 'Carol, here are the keys.' })
    await page.setInputFiles('input[type=file]', { name: 'keys 钥匙.txt', mimeType: 'text/plain', buffer: Buffer.from('one, two') })
    assert.ok(await ask('until_in', 'alice@north.test', 'Drafts', 'The lighthouse keys'))
    await page.locator('.files', { hasText: 'keys 钥匙.txt' }).waitFor()
    await page.keyboard.press(CHORD)
    await toast(page, 'Sent').waitFor()
    assert.ok(await ask('until_in', 'alice@north.test', 'Sent', 'The lighthouse keys'))
  },
  async an_invitation_is_answered({ page }) {
    await inbox(page)
    await open(page, 'Invitation: Autumn review')
    await page.getByRole('group', { name: 'Your answer' }).getByRole('button', { name: 'Accept' }).click()
    await toast(page, 'Answer sent').waitFor()
    await page.getByRole('button', { name: 'Accept', pressed: true }).waitFor()
  },
  async what_one_reads_is_read_everywhere({ page, other, ask }) {
    const subject = 'Budget for the third quarter'
    await inbox(page)
    await open(page, subject)
    await other.locator('.row:not(.unread)', { hasText: subject }).waitFor({ timeout: PATIENCE })
    const press = (key) => () => now(() => page.keyboard.press(key))
    const isRead = (read) => [
      () => other.locator(read ? '.row:not(.unread)' : '.row.unread', { hasText: subject }).waitFor({ timeout: PATIENCE }),
      async () => assert.ok(await ask(read ? 'until_flag' : 'until_no_flag', 'alice@north.test', 'INBOX', subject, '\\Seen')),
    ]
    await atOnce([press('U'), ...isRead(false)], [press('I'), ...isRead(true)], [press('U'), ...isRead(false)])
    await page.keyboard.press('I')
    await other.locator('.row:not(.unread)', { hasText: subject }).waitFor({ timeout: PATIENCE })
  },
  async a_star_set_by_imap_appears_in_both_browsers({ page, other, ask }) {
    const store = (sign) => () => ask('store', 'alice@north.test', 'INBOX', 'Budget for the third quarter', '\\Flagged', sign)
    const on = [page, other].map((each) => () => row(each, 'Budget').locator('.star.on').waitFor({ timeout: PATIENCE }))
    const off = [page, other].map((each) => () => row(each, 'Budget').locator('.star:not(.on)').waitFor({ timeout: PATIENCE }))
    await atOnce([store('+'), ...on], [store('-'), ...off], [store('+'), ...on])
  },
  async new_mail_appears_without_reload({ page, other, ask }) {
    const deliver = (subject) => [() => ask('deliver', subject), ...[page, other].map((each) => () => row(each, subject).waitFor({ timeout: PATIENCE }))]
    await atOnce(...['Fresh from the road', 'Fresh from the sea', 'Fresh from the air'].map(deliver))
  },
  async a_refresh_is_one_request_and_counts_nothing(world) {
    const { page, ask } = world
    const requests = requestsOf(page)
    // What is seen to the end: one change by another client, then a second; each costs one look at what has changed.
    for (const sign of ['-', '+']) {
      await ask('store', 'alice@north.test', 'INBOX', 'Trip to the lighthouse', '\\Flagged', sign === '-' ? '+' : '-')
      await row(page, 'Trip to the lighthouse').locator(sign === '-' ? '.star.on' : '.star:not(.on)').waitFor({ timeout: PATIENCE })
    }
    const calls = (name) => requests.flat().filter(([method]) => method === name)
    assert.equal(requests.length, 2, JSON.stringify(requests))
    assert.equal(calls('Email/changes').length, 2)
    assert.equal(calls('Email/query').length, 0)
    // A whole mailbox knows its number; a part of it must be counted.
    const total = Number(await page.locator('.pane-list header .numbers').innerText())
    await page.reload()
    await row(page, 'Budget for the third quarter').waitFor()
    assert.ok(calls('Email/query').length > 0 && calls('Email/query').every(([, { calculateTotal }]) => !calculateTotal))
    assert.equal(Number(await page.locator('.pane-list header .numbers').innerText()), total)
    const counting = page.waitForRequest((request) => request.postData()?.includes('"calculateTotal":true'))
    await page.getByRole('button', { name: 'Unread only' }).click()
    await counting
    await page.locator('.row:not(.unread)').first().waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Unread only' }).click()
    await row(page, 'Budget for the third quarter').waitFor()
  },
  async a_folder_is_shown_as_it_is_now({ page, ask }) {
    for (const name of [/^Archive/, /^Sent/, /^Drafts/, /^Inbox/]) await folder(page, name).click()
    await ask('move', 'alice@north.test', 'INBOX', 'Archive', 'Minutes of the board (1)')
    await row(page, 'Minutes of the board (1)').waitFor({ state: 'detached', timeout: PATIENCE })
    await folder(page, /^Archive/).click() // what the device remembers of it is older
    await row(page, 'Minutes of the board (1)').waitFor()
    await ask('move', 'alice@north.test', 'Archive', 'INBOX', 'Minutes of the board (1)')
    await row(page, 'Minutes of the board (1)').waitFor({ state: 'detached', timeout: PATIENCE })
    await folder(page, /^Inbox/).click()
    await row(page, 'Minutes of the board (1)').waitFor()
  },
  async its_attachment_arrives_in_the_other_domain({ carol }) {
    // Both that are on their way: a row that comes while the pointer is on its way moves the others.
    for (const subject of ['The lighthouse keys', 'Accepted: Autumn review']) await row(carol, subject).waitFor({ timeout: 30_000 })
    await open(carol, 'The lighthouse keys')
    const download = carol.waitForEvent('download')
    await carol.getByLabel('Download keys 钥匙.txt').first().click()
    assert.equal((await download).suggestedFilename(), 'keys 钥匙.txt')
  },
  async carol_replies({ page, carol }) {
    await page.addInitScript(rememberFirstSenders, 'They fit. Thank you.')
    await inbox(page)
    await carol.keyboard.press('r')
    await carol.getByLabel('Text of the message').waitFor()
    assert.equal(await carol.getByLabel('Subject').inputValue(), 'Re: The lighthouse keys')
    await carol.keyboard.type('They fit. Thank you.')
    await carol.keyboard.press(CHORD)
    await toast(carol, 'Sent').waitFor()
  },
  async why_a_message_is_believed_or_not({ page }) {
    await open(page, 'Your order has arrived')
    await page.getByText('Nothing proves that books.test sent this').waitFor()
    await page.getByText('First message from this address').waitFor()
    await visit(page, '/mail/junk')
    await row(page, 'Your mailbox closes today').getByTitle('Its domain looks like another').waitFor()
    await open(page, 'Your mailbox closes today')
    await page.getByText('Looks like junk: its domain looks like another').click()
    await page.getByText('6.5 of the 5 that make junk').first().waitFor()
    await page.getByText('n0rth.test may be taken for north.test').waitFor()
    await page.getByText('Without “its domain looks like another” it would not be junk.').waitFor()
    await inbox(page)
  },
  async a_message_is_moved_and_brought_back({ page, other, ask }) {
    await open(page, 'Minutes of the board (1)')
    await page.keyboard.press('m')
    await page.getByPlaceholder('Find a folder').fill('light')
    await page.keyboard.press('Enter')
    for (const each of [page, other]) await row(each, 'Minutes of the board (1)').waitFor({ state: 'detached', timeout: PATIENCE })
    assert.ok(await ask('until_in', 'alice@north.test', 'Projects/Lighthouse', 'Minutes of the board (1)'))
    await toast(page, 'moved to Lighthouse').getByText('Undo').click()
    await row(page, 'Minutes of the board (1)').waitFor()
    await row(other, 'Minutes of the board (1)').waitFor({ timeout: PATIENCE })
    assert.ok(await ask('until_in', 'alice@north.test', 'INBOX', 'Minutes of the board (1)'))
  },
  async a_list_takes_the_whole_width_and_is_found_again_as_it_was_left({ page }) {
    await inbox(page)
    const layout = async (name) => {
      await page.getByRole('button', { name: 'Layout' }).click()
      await page.getByRole('menu').getByText(name, { exact: true }).click()
    }
    await layout('One line, whole width')
    await page.locator('.pane-reading').waitFor({ state: 'detached' })
    await page.locator('.row.normal').first().waitFor()
    const scroller = page.locator('.scroller')
    await scroller.evaluate((element) => element.scrollTo({ top: 400 }))
    await page.locator('.row .open').nth(15).click()
    await page.locator('.conversation h1').waitFor()
    assert.equal(await scroller.count(), 0)
    await page.keyboard.press('u')
    await page.waitForFunction(() => document.querySelector('.scroller')?.scrollTop === 400)
    await layout('Two lines, message beside')
    await page.locator('.pane-reading').waitFor()
  },
  async what_is_put_off_says_until_when({ page }) {
    await open(page, 'Trip to the lighthouse')
    await page.keyboard.press('b')
    await page.getByRole('menuitem', { name: 'Tomorrow' }).click()
    await toast(page, 'Snoozed until').waitFor()
    await visit(page, '/mail/snoozed')
    await row(page, 'Trip to the lighthouse').getByTitle('Snoozed until').getByText(/08:00|8:00/).waitFor()
    await page.reload()
    await row(page, 'Trip to the lighthouse').getByTitle('Snoozed until').waitFor()
    await open(page, 'Trip to the lighthouse')
    await page.keyboard.press('b')
    await page.getByRole('menuitem', { name: 'Back to the inbox now' }).click()
    await inbox(page)
    await row(page, 'Trip to the lighthouse').waitFor()
  },
  async search_in_english_and_chinese({ page }) {
    for (const [query, found, absent] of [
      ['from:carol subject:budget', 'Budget for the third quarter', 'Trip to the lighthouse'],
      ['thermos', 'Trip to the lighthouse', 'Budget for the third quarter'],
      ['主题:报销', '十一月份差旅费报销单已审批通过', '关于下周二项目评审会的安排'],
      ['评审会', '关于下周二项目评审会的安排', '样书已寄出'],
      ['有:附件 发件人:王小明', '关于下周二项目评审会的安排', 'Photographs'],
    ]) {
      await page.keyboard.press('/')
      await page.keyboard.press('Control+a')
      await page.keyboard.type(query)
      await page.keyboard.press('Enter')
      await row(page, found).waitFor()
      assert.equal(await row(page, absent).count(), 0, `${query} must not find ${absent}`)
    }
    await inbox(page)
  },
  async a_list_is_left({ page }) {
    await inbox(page)
    await open(page, 'The ferry, the signal house and a bakery')
    await page.getByRole('button', { name: 'Unsubscribe' }).click()
    await page.locator('dialog').getByRole('button', { name: 'Unsubscribe' }).click()
    await toast(page, 'The list was told').waitFor() // nothing signed it, so by a message
    await page.locator('.bar').getByText('Unsubscribed').waitFor()
    await toast(page, 'The list was told').getByText('Undo send').click()
    await page.getByRole('button', { name: 'Unsubscribe' }).waitFor()
    await inbox(page)
  },
  async the_conversation_grows({ page }) {
    const answer = row(page, 'They fit. Thank you.')
    await answer.waitFor({ timeout: 30_000 })
    assert.match(await page.evaluate(() => sessionStorage.getItem('first-senders')), /me.*carol/is) // at no moment without what she answers to
  },
  async the_organizer_hears_of_the_answer({ carol, ask }) {
    await row(carol, 'Accepted: Autumn review').waitFor({ timeout: 30_000 })
    await open(carol, 'Accepted: Autumn review')
    await carol.locator('article').getByText('Alice Lindqvist accepted').waitFor()
    assert.match(await ask('source', 'carol@south.test', 'INBOX', 'Accepted: Autumn review'), /Content-Type: text\/calendar; charset=utf-8; method=REPLY/)
  },
  async sending_is_undone({ page, ask }) {
    await compose(page, { to: 'carol@south.test', subject: 'Too fast', text: 'I should have thought.' })
    await page.keyboard.press(CHORD)
    await toast(page, 'Sent').getByText('Undo send').click()
    await toast(page, 'Not sent').waitFor()
    assert.equal(await page.getByLabel('Subject').inputValue(), 'Too fast')
    assert.ok(await ask('until_in', 'alice@north.test', 'Drafts', 'Too fast'))
    await page.getByLabel('Discard the draft').click()
  },
  async a_forgotten_attachment_is_asked_about({ page }) {
    await compose(page, { to: 'carol@south.test', subject: 'Plan', text: 'See the attachment.' })
    await page.keyboard.press(CHORD)
    await page.getByText('but there is none').waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByLabel('Discard the draft').click()
  },
  async where_is_my_mail({ page }) {
    await visit(page, '/mail/sent')
    await open(page, 'The lighthouse keys')
    await page.getByText('Where is it?').first().click()
    await page.getByRole('heading', { name: 'To carol@south.test' }).waitFor()
    const handed = page.locator('li.done', { hasText: 'Handed to mx.south.test' })
    await handed.getByText('encrypted (TLSv1.3)').waitFor()
    await handed.getByText(/^250 /).waitFor()
    await page.getByRole('link', { name: 'Sent lately' }).click()
    await page.getByRole('link', { name: 'carol@south.test' }).first().waitFor()
    await inbox(page)
  },
  async contacts_are_made_grouped_suggested_and_taken_back({ page }) {
    await page.keyboard.press('g')
    await page.keyboard.press('c')
    await page.getByRole('button', { name: 'New contact' }).first().click()
    await page.getByLabel('Name', { exact: true }).fill('Lamplighter Sol')
    await page.getByLabel('Mail', { exact: true }).fill('no address')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('“no address” is no mail address').waitFor()
    await page.getByLabel('Mail', { exact: true }).fill('sol@south.test')
    for (const leave of [() => page.locator('.brand, a[href="/mail/inbox"]').first().click(), () => page.goBack()]) {
      await leave() // not saved: nothing is lost without a question
      await page.locator('dialog').getByRole('button', { name: 'Cancel' }).click()
      assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Lamplighter Sol')
    }
    await page.getByLabel('Mail', { exact: true }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Lamplighter Sol' }).waitFor()
    await page.getByRole('article').getByRole('button', { name: 'New group' }).click()
    await page.locator('dialog input:focus').waitFor()
    await page.keyboard.type('Keepers')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Keepers', pressed: true }).waitFor()
    await page.keyboard.press('c')
    const to = page.getByLabel('To', { exact: true })
    await page.locator('.window .people').getByText('Lamplighter Sol').first().waitFor()
    await page.getByLabel('Remove Lamplighter Sol').click()
    for (const [typed, found] of [['lampl', 'sol@south.test'], ['keep', '1 person']]) {
      await to.fill(typed)
      await page.getByRole('option', { name: found }).waitFor()
    }
    await page.keyboard.press('Enter')
    await page.locator('.window .people').getByText('Lamplighter Sol').first().waitFor()
    await page.getByLabel('Discard the draft').click()
    await page.getByRole('button', { name: 'Delete Lamplighter Sol' }).click()
    await page.getByText('Choose a contact').waitFor()
    await toast(page, 'Lamplighter Sol deleted').getByText('Undo').click()
    await page.keyboard.press('/')
    await page.keyboard.type('lampl')
    await page.getByRole('link', { name: /Lamplighter Sol/ }).waitFor()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Keepers', pressed: true }).waitFor()
    const vcard = 'BEGIN:VCARD\r\nVERSION:3.0\r\nUID:keeper-1\r\nFN:王灯塔\r\nEMAIL:keeper@fjord.test\r\nEND:VCARD\r\n'
    for (const said of ['1 contact imported', '1 there already']) {
      await page.setInputFiles('input[accept*=vcf]', { name: 'keeper.vcf', mimeType: 'text/vcard', buffer: Buffer.from(vcard) })
      await toast(page, said).waitFor()
    }
    await page.getByLabel('Find in contacts').fill('灯塔')
    await page.getByRole('link', { name: /王灯塔/ }).waitFor()
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Import, export, groups' }).click()
    await page.getByRole('menuitem', { name: 'Export as vCard' }).click()
    const exported = readFileSync(await (await download).path(), 'utf8')
    assert.ok(exported.includes('FN:王灯塔') && exported.includes('FN:Lamplighter Sol'))
    await page.getByLabel('Find in contacts').fill('')
    await visit(page, '/contacts/written')
    await page.getByRole('list', { name: 'Written to' }).getByText('carol@south.test').waitFor()
    await visit(page, '/mail/inbox')
    await row(page, 'Budget for the third quarter').waitFor()
  },
  async a_contact_gets_a_picture_and_lends_it_to_their_mail({ page, other }) {
    // Left half red, right half blue.
    const png = await page.evaluate(() => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 600, height: 300 })
      const context = canvas.getContext('2d')
      for (const [colour, left] of [['red', 0], ['blue', 300]]) {
        context.fillStyle = colour
        context.fillRect(left, 0, 300, 300)
      }
      return canvas.toDataURL('image/png').split(',')[1]
    })
    const choose = (name, buffer) => page.setInputFiles('input[accept*=webp]', { name, mimeType: 'image/png', buffer })
    await page.locator('.account').waitFor()
    await visit(page, '/contacts/all/new?email=carol@south.test&name=Carol+Meier')
    await page.getByRole('button', { name: 'Choose a picture…' }).waitFor()
    await choose('scripts.png', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'))
    await toast(page, '“scripts.png” is no picture').waitFor()
    await choose('torn.png', Buffer.concat([Buffer.from(png, 'base64').subarray(0, 8), Buffer.alloc(60)]))
    await toast(page, '“torn.png” is damaged').waitFor()
    for (const name of ['scripts.png', 'torn.png']) await toast(page, name).getByRole('button').click()
    await choose('carol.png', Buffer.from(png, 'base64'))
    await page.locator('dialog .frame:focus').waitFor()
    for (let step = 0; step < 15; step++) await page.keyboard.press('ArrowRight')
    await page.getByRole('button', { name: 'Use this picture' }).click()
    await page.locator('form .avatar img').waitFor()
    await page.getByRole('button', { name: 'Save' }).click()
    const picture = page.locator('article .avatar img')
    await picture.waitFor()
    const middle = await picture.evaluate(async (image) => {
      await image.decode()
      const canvas = Object.assign(document.createElement('canvas'), { width: image.naturalWidth, height: image.naturalHeight })
      canvas.getContext('2d').drawImage(image, 0, 0)
      return [canvas.width, canvas.height, ...canvas.getContext('2d').getImageData(20, 128, 1, 1).data]
    })
    assert.deepEqual(middle.slice(0, 2), [256, 256])
    assert.ok(middle[2] < 40 && middle[4] > 200, `not the right half: ${middle}`)
    await row(other, 'Budget').locator('.avatar img').waitFor({ timeout: PATIENCE })
    await row(other, 'Minutes of the board').locator('.avatar:not(:has(img))').waitFor()
    await page.getByRole('button', { name: 'Find mail' }).click()
    await open(page, 'Budget for the third quarter')
    await page.locator('article.open .avatar img').waitFor()
    await page.getByRole('button', { name: 'More' }).last().click()
    await page.getByRole('menuitem', { name: 'Show in contacts' }).click()
    await page.getByRole('button', { name: 'Change' }).click()
    await page.getByRole('button', { name: 'Remove the picture' }).click()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.locator('article .avatar', { hasText: 'CM' }).waitFor()
    await row(other, 'Budget').locator('.avatar', { hasText: 'CM' }).waitFor({ timeout: PATIENCE })
    await visit(page, '/mail/inbox')
    await row(page, 'Budget for the third quarter').waitFor()
  },
  async offline_and_back({ page, ask }) {
    await page.context().setOffline(true)
    await page.getByText('Offline. What you do is kept').waitFor()
    await open(page, 'Budget for the third quarter')
    await page.locator('article').getByText('Travel is a fifth under').waitFor()
    await page.keyboard.press('e')
    await row(page, 'Budget for the third quarter').waitFor({ state: 'detached' })
    assert.ok(await ask('is_in', 'alice@north.test', 'INBOX', 'Budget for the third quarter'))
    await page.context().setOffline(false)
    await toast(page, 'Back online').waitFor()
    assert.ok(await ask('until_in', 'alice@north.test', 'Archive', 'Budget for the third quarter'))
    await ask('move', 'alice@north.test', 'Archive', 'INBOX', 'Budget for the third quarter')
    await row(page, 'Budget for the third quarter').waitFor({ timeout: PATIENCE })
  },
  async opens_without_a_connection_and_sends_when_it_is_back({ page, ask }) {
    await open(page, 'Budget for the third quarter')
    await page.locator('article').getByText('Travel is a fifth under').waitFor()
    await page.waitForFunction(() => navigator.serviceWorker.controller && caches.match('/index.html').then(Boolean))
    await page.context().setOffline(true)
    await page.reload()
    await page.getByText('Offline. What you do is kept').waitFor()
    await open(page, 'Budget for the third quarter')
    await page.locator('article').getByText('Travel is a fifth under').waitFor()
    const starred = (await row(page, 'Budget').locator('.star.on').count()) > 0
    await page.keyboard.press('s')
    await compose(page, { to: 'carol@south.test', subject: 'From the tunnel', text: 'No signal here.' })
    await page.keyboard.press(CHORD)
    await page.getByText('1 message goes out when the connection is back').waitFor()
    await page.reload()
    await page.getByText('1 message goes out when the connection is back').waitFor()
    await page.context().setOffline(false)
    await toast(page, 'Sent').waitFor()
    assert.ok(await ask('until_in', 'alice@north.test', 'Sent', 'From the tunnel'))
    await page.getByText('1 message goes out when the connection is back').waitFor({ state: 'detached' })
    await row(page, 'Budget').locator(starred ? '.star:not(.on)' : '.star.on').waitFor()
    assert.ok(await ask(starred ? 'until_no_flag' : 'until_flag', 'alice@north.test', 'INBOX', 'Budget for the third quarter', '\\Flagged'))
  },
  async what_was_not_finished_is_offered_again({ page, stage }) {
    const other = await page.context().newPage()
    await other.goto(`${stage.north}/mail/inbox`)
    await row(other, 'Trip to the lighthouse').waitFor()
    await page.context().setOffline(true)
    await compose(other, { to: 'carol@south.test', subject: 'Half a thought', text: 'It begins with' })
    await other.getByText('Not saved: kept here').waitFor()
    await other.close()
    await page.context().setOffline(false)
    await page.reload()
    await page.getByText('“Half a thought” was not finished').waitFor()
    await page.getByRole('button', { name: 'Go on writing' }).click()
    await page.locator('.editor', { hasText: 'It begins with' }).waitFor()
    await page.getByLabel('Discard the draft').click()
    await page.locator('.kept').waitFor({ state: 'detached' })
    await page.reload()
    await row(page, 'Trip to the lighthouse').waitFor()
    assert.equal(await page.locator('.kept').count(), 0)
  },
  async everything_by_keyboard({ page }) {
    await inbox(page)
    await page.keyboard.press('j')
    await page.keyboard.press('o')
    await page.locator('.conversation h1').waitFor()
    const first = await page.locator('.conversation h1').innerText()
    await page.keyboard.press('j')
    await page.waitForFunction((text) => document.querySelector('.conversation h1')?.innerText !== text, first)
    await page.keyboard.press('s')
    await page.locator('.row.current .star.on').waitFor()
    await page.keyboard.press('s')
    await page.keyboard.press('u')
    await page.locator('.conversation').waitFor({ state: 'detached' })
    await page.keyboard.press('x')
    await page.getByText('1 selected').waitFor()
    await page.keyboard.press('e')
    await toast(page, 'archived').waitFor()
    await page.keyboard.press('z')
    await toast(page, 'archived').waitFor({ state: 'detached' })
    await page.keyboard.press('?')
    await page.getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor()
    await page.getByLabel('Single-key shortcuts').uncheck()
    await page.keyboard.press('Escape')
    await page.keyboard.press('c')
    assert.equal(await page.getByLabel('Text of the message').count(), 0)
    await page.evaluate(() => localStorage.removeItem('posthouse.keys-off'))
    await page.reload()
    await page.locator('.row .open').first().waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('t')
    await page.waitForURL('**/mail/sent')
    await page.keyboard.press('c')
    await page.getByLabel('To', { exact: true }).waitFor()
    await page.keyboard.press('Escape')
    await page.locator('.window').waitFor({ state: 'detached' })
  },
  async on_a_phone({ browser, stage, other, ask }) {
    const context = await browser.newContext({ storageState: await other.context().storageState(), viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2, locale: 'en-GB' })
    const page = await context.newPage()
    page.faults = []
    page.on('pageerror', (error) => page.faults.push(String(error)))
    await page.goto(`${stage.north}/mail/inbox`)
    await row(page, 'Trip to the lighthouse').locator('.open').tap()
    await page.getByText('I bring the thermos').first().waitFor()
    assert.equal(await page.locator('.pane-list').count(), 0)
    await page.getByLabel('Back to the list').tap()
    await row(page, 'Trip to the lighthouse').waitFor()
    await page.getByRole('button', { name: 'Folders' }).last().tap()
    await page.locator('.drawer').getByText('Archive').tap()
    await page.waitForURL('**/mail/archive')
    await page.getByRole('button', { name: 'Compose' }).last().tap()
    const box = await page.locator('.window').boundingBox()
    assert.deepEqual([box.width, box.height], [360, 740])
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360)
    await page.goto(`${stage.north}/mail/inbox`)
    // A finger that wipes a row to the right marks it unread; to the left puts it away; a little way, nothing.
    const lighthouse = row(page, 'Trip to the lighthouse')
    await wipe(page, lighthouse, 140)
    await page.locator('.row.unread', { hasText: 'Trip to the lighthouse' }).waitFor()
    await wipe(page, lighthouse, -40)
    await wipe(page, lighthouse, -140)
    await lighthouse.waitFor({ state: 'detached' })
    await ask('until_in', 'alice@north.test', 'Archive', 'Trip to the lighthouse')
    await page.getByRole('button', { name: 'Undo' }).click() // Chromium takes a tap at once after a wipe for its end
    await lighthouse.waitFor()
    assert.equal(new URL(page.url()).pathname, '/mail/inbox') // no wipe was a tap
    assert.deepEqual(page.faults, [])
    await page.context().close()
  },
  async nothing_of_the_account_stays_after_signing_out({ page, other }) {
    await page.locator('.account').click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await page.waitForURL('**/login*')
    const left = await page.evaluate(async () => ({ databases: await indexedDB.databases(), caches: await caches.keys(), session: localStorage.getItem('posthouse.session') }))
    assert.deepEqual(left, { databases: [], caches: [], session: null })
    await row(other, 'Trip to the lighthouse').waitFor() // another browser's session goes on
  },
  async nothing_went_wrong_unseen({ page, other, carol, ask }) {
    assert.ok(!(await ask('is_in', 'carol@south.test', 'INBOX', 'Too fast'))) // its sending was undone long ago
    assert.deepEqual([...page.faults, ...other.faults, ...carol.faults], [])
  },
}
