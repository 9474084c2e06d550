// A folder shared with somebody in the same house, who watches: what they see, what they may do, and how it ends.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { signedIn, visit } from '../browser.mjs'
import { atOnce, now, PATIENCE, row } from '../looking.mjs'

const AXE = readFileSync(new URL('../../../webmail/node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
const ALICE = 'alice@example.test'
const BOB = 'bob@example.test'

const folder = (page, name) => page.locator('.pane-folders, .drawer').getByRole('link', { name })
const dialog = (page) => page.locator('dialog[open]')
const level = (page) => dialog(page).getByLabel('What bob@example.test may do')

async function isAccessible(page) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(AXE)
  const faults = await page.evaluate(async () => (await axe.run()).violations.filter((each) => ['serious', 'critical'].includes(each.impact)).map((each) => `${each.id}: ${each.nodes[0].html}`))
  assert.deepEqual(faults, [])
}
async function picture(world, page, name) {
  if (world.folder) await page.screenshot({ path: `${world.folder}/sharing-${name}.png` })
}
async function openSharing(page) {
  await folder(page, /^Plans/).hover()
  await page.getByRole('button', { name: 'What to do with Plans' }).click()
  await page.getByRole('menuitem', { name: 'Share…' }).click()
  await dialog(page).getByLabel('Share with', { exact: true }).waitFor()
}

export const checks = {
  async a_folder_is_shared_and_seen_at_once(world) {
    const { browser, stage, ask } = world
    for (const subject of ['The route', 'The boats']) await ask('put', subject)
    const enter = (address) => signedIn(browser, stage.web, address, { password: stage.people[address] })
    ;[world.alice, world.bob] = await Promise.all([enter(ALICE), enter(BOB)])
    const { alice, bob } = world
    await bob.evaluate(() => localStorage.setItem('posthouse.undo', '5'))
    await bob.reload()
    await openSharing(alice)
    await dialog(alice).getByText('Not shared with anybody.').waitFor()
    await dialog(alice).getByLabel('Share with', { exact: true }).fill('bob')
    await dialog(alice).getByRole('option', { name: 'bob' }).waitFor()
    const add = () => now(() => alice.keyboard.press('Enter'))
    await add()
    await folder(bob, /^Plans/).waitFor({ timeout: PATIENCE })
    await bob.getByText('shares “Plans” with you').waitFor()
    assert.equal(await level(alice).inputValue(), 'read')
    await folder(alice, /^Plans Shared with others/).waitFor()
    await isAccessible(alice)
    await picture(world, alice, 'dialog')
    await isAccessible(bob)
    await picture(world, bob, 'told')
  },
  async reading_is_all_that_was_given(world) {
    const { bob, ask } = world
    await bob.getByRole('link', { name: 'shares “Plans” with you' }).click()
    await row(bob, 'The route').waitFor()
    await bob.getByText('shares “Plans” with you').waitFor({ state: 'detached' }) // read, so put away
    await row(bob, 'The route').locator('.open').click()
    await bob.locator('article').getByText('About The route.').waitFor()
    await picture(world, bob, 'reading')
    for (const name of ['Star', 'Archive', 'Delete', 'Junk', 'Label', 'Snooze']) assert.equal(await bob.locator('.pane-reading').getByRole('button', { name, exact: true }).count(), 0, name)
    assert.equal(await bob.locator('.row .star').count(), 0)
    await bob.keyboard.press('e') // nor by keys
    await bob.keyboard.press('#')
    await bob.keyboard.press('I')
    await bob.locator('.pane-reading').getByRole('button', { name: 'Copy to…' }).click()
    await bob.getByRole('menuitem', { name: 'Archive' }).click()
    await bob.getByText('1 conversation copied to Archive').waitFor()
    await row(bob, 'The route').waitFor()
    assert.doesNotMatch(await ask('flags', 'The route'), /Seen/)
    await folder(bob, /^Archive/).click()
    await row(bob, 'The route').waitFor()
    await bob.goBack()
    await row(bob, 'The boats').waitFor()
  },
  async more_is_given_and_used(world) {
    const { alice, bob, ask } = world
    await level(alice).selectOption('work')
    await bob.getByText('has changed what you may do in “Plans”').waitFor()
    await row(bob, 'The boats').locator('.open').click()
    await bob.locator('article').getByText('About The boats.').waitFor()
    await bob.locator('.pane-reading article').getByRole('button', { name: 'Star' }).click()
    await bob.waitForFunction(() => !document.querySelector('.row.unread.current'))
    for (const flag of [/Seen/, /Flagged/]) {
      const end = Date.now() + PATIENCE
      while (!flag.test(await ask('flags', 'The boats'))) assert.ok(Date.now() < end, `${flag} is not seen by IMAP`)
    }
    await alice.keyboard.press('Escape')
    await folder(alice, /^Plans/).click()
    await row(alice, 'The boats').locator('.star.on').waitFor()
    const seen = (subject) => () => Promise.all([row(alice, subject).waitFor({ timeout: PATIENCE }), row(bob, subject).waitFor({ timeout: PATIENCE })])
    const puts = ['The tides', 'The lamps', 'The ropes'].map((subject) => [() => ask('put', subject).then(() => Date.now()), seen(subject)])
    await atOnce(...puts)
  },
  async a_look_costs_one_call_for_each_account(world) {
    const { bob, ask } = world
    await folder(bob, /^Plans/).click()
    await row(bob, 'The tides').waitFor()
    await bob.waitForTimeout(300) // what earlier checks did has been heard
    const calls = []
    const note = (request) => {
      if (request.method() !== 'POST') return
      for (const [method, { accountId }] of JSON.parse(request.postData()).methodCalls) if (method === 'Email/changes') calls.push(accountId)
    }
    bob.on('request', note)
    await ask('put', 'The anchors')
    await row(bob, 'The anchors').waitFor()
    await bob.waitForTimeout(300)
    bob.off('request', note)
    assert.equal(calls.length, 1, calls.join(', '))
  },
  async mail_goes_from_one_to_the_other_and_back(world) {
    const { alice, bob } = world
    await row(bob, 'The boats').locator('.open').click()
    await bob.locator('.pane-reading').getByRole('button', { name: 'Move to…' }).click()
    await bob.getByRole('menuitem', { name: 'Inbox' }).click()
    await bob.getByText('1 conversation moved to Inbox').waitFor()
    await row(alice, 'The boats').waitFor({ state: 'detached' })
    await bob.getByRole('button', { name: 'Undo' }).click()
    await row(alice, 'The boats').waitFor()
    await row(bob, 'The boats').waitFor()
  },
  async an_answer_that_is_gone_on_with_later_marks_what_is_shared(world) {
    const { bob, ask } = world
    await row(bob, 'The tides').locator('.open').click()
    await bob.locator('article').getByRole('button', { name: 'Reply', exact: true }).last().click()
    const window = bob.locator('.window')
    await window.getByRole('button', { name: /^Remove/ }).click()
    await window.getByLabel('To', { exact: true }).fill(ALICE)
    await bob.keyboard.press('Enter')
    await window.locator('.state', { hasText: 'Saved' }).waitFor()
    await bob.keyboard.press('Escape')
    await window.waitFor({ state: 'detached' })
    await bob.reload() // nothing of the window is left
    await folder(bob, /^Plans/).waitFor()
    await visit(bob, '/mail/drafts')
    await row(bob, 'The tides').locator('.open').click()
    await bob.locator('article').getByRole('button', { name: 'Compose' }).click()
    await window.getByLabel('Text of the message').focus()
    await bob.keyboard.press('Control+Enter')
    await bob.locator('.toast', { hasText: 'Sent' }).waitFor()
    const end = Date.now() + PATIENCE
    while (!/Answered/.test(await ask('flags', 'The tides'))) assert.ok(Date.now() < end, 'it is not marked as answered')
    await folder(bob, /^Plans/).click()
    await row(bob, 'The route').waitFor()
  },
  async a_shared_message_is_forwarded_with_its_files(world) {
    const { bob } = world
    await row(bob, 'The route').locator('.open').click()
    await bob.locator('article').getByText('About The route.').waitFor()
    await bob.locator('article').getByRole('button', { name: 'Forward' }).last().click()
    await bob.locator('.window').getByText('map.txt').waitFor()
    await bob.getByLabel('To', { exact: true }).fill('alice@example.test')
    await bob.keyboard.press('Enter')
    await bob.keyboard.press('Control+Enter')
  },
  async on_a_phone_in_chinese(world) {
    const context = await world.browser.newContext({ storageState: await world.bob.context().storageState(), viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: 'dark', locale: 'zh-CN' })
    const page = await context.newPage()
    await page.addInitScript(() => localStorage.setItem('posthouse.locale', 'zh-CN'))
    await page.goto(`${world.stage.web}/mail/inbox`)
    await page.getByRole('button', { name: '文件夹' }).last().tap()
    await folder(page, /^Plans/).waitFor()
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360)
    await isAccessible(page)
    await picture(world, page, 'phone')
    await context.close()
  },
  async what_was_missed_offline_is_there_afterwards(world) {
    const { alice, bob, ask } = world
    const told = bob.getByText('has changed what you may do in “Plans”')
    await bob.context().setOffline(true)
    await bob.locator('.offline').waitFor()
    await told.locator('..').getByRole('button', { name: 'Close' }).click() // the server hears of it when one is back
    await told.waitFor({ state: 'detached' })
    await ask('put', 'The lantern')
    await openSharing(alice)
    await level(alice).selectOption('read')
    await dialog(alice).getByText('What bob@example.test may do is changed').waitFor()
    // What is told goes away by itself: whichever comes first must not be missed while the other is waited for.
    await Promise.all([row(bob, 'The lantern').waitFor(), told.waitFor(), bob.context().setOffline(false)])
    assert.equal(await bob.locator('.row', { hasText: 'The lantern' }).locator('.star').count(), 0)
    await alice.keyboard.press('Escape')
  },
  async what_is_refused_is_said_and_taken_back(world) {
    const { alice } = world
    await openSharing(alice)
    await alice.route('**/jmap/', (route) => route.abort())
    await level(alice).selectOption('all')
    await dialog(alice).getByText('The server does not answer.').waitFor()
    assert.equal(await level(alice).inputValue(), 'read')
    await alice.unroute('**/jmap/')
    await level(alice).selectOption('work')
    await dialog(alice).getByText('What bob@example.test may do is changed').waitFor()
    await level(alice).selectOption('read')
    await alice.keyboard.press('Escape')
  },
  async it_ends_and_is_gone(world) {
    const { alice, bob } = world
    await visit(bob, '/mail/inbox')
    await folder(bob, /^Plans/).click()
    await row(bob, 'The route').waitFor()
    await openSharing(alice)
    await dialog(alice).getByRole('button', { name: 'No longer share with bob@example.test' }).click()
    await folder(bob, /^Plans/).waitFor({ state: 'detached' })
    await bob.getByText('This folder is not shared with you any more.').waitFor()
    await bob.getByText('no longer shares “Plans”').waitFor()
    await picture(world, bob, 'ended')
    await dialog(alice).getByText('cannot see “Plans” any more').waitFor()
    await folder(alice, /^Plans Shared with others/).waitFor({ state: 'detached' })
    await isAccessible(alice)
    await dialog(alice).getByRole('button', { name: 'Undo' }).click()
    await folder(bob, /^Plans/).waitFor()
    await bob.getByText('no longer shares “Plans”').waitFor({ state: 'detached' }) // it was taken back
    await alice.keyboard.press('Escape')
  },
  async its_files_arrive(world) {
    await folder(world.alice, /^Inbox/).click()
    await row(world.alice, 'The route').waitFor({ timeout: 30_000 })
    await row(world.alice, 'The route').locator('.open').click()
    await world.alice.locator('article').getByText('map.txt').first().waitFor()
    assert.deepEqual([...world.alice.faults, ...world.bob.faults], [])
  },
}
