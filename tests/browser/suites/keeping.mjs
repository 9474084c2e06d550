// For how long a folder keeps its mail: said in its menu, asked about before anything is lost, done, and had back.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { signedIn, visit } from '../browser.mjs'
import { isApi, jmap } from '../hands.mjs'
import { row } from '../looking.mjs'

const AXE = readFileSync(new URL('../../../webmail/node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
const ALICE = 'alice@example.test'
const BOB = 'bob@example.test'

const folder = (page, name) => page.locator('.pane-folders').getByRole('link', { name })
const dialog = (page) => page.locator('dialog[open]').first()
const choice = (page, name) => dialog(page).getByRole('radio', { name, exact: true })
const press = (page, name) => page.locator('dialog[open]').last().locator('footer').getByRole('button', { name, exact: true }).click()
const note = (page, days) => page.locator('.pane-list').getByText(`Mail here is removed after ${days} days.`)
const gone = (page) => page.locator('dialog[open]').waitFor({ state: 'detached' })

async function isAccessible(page) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(AXE)
  const faults = await page.evaluate(async () => (await axe.run()).violations.filter((each) => ['serious', 'critical'].includes(each.impact)).map((each) => `${each.id}: ${each.nodes[0].html}`))
  assert.deepEqual(faults, [])
}
async function picture(world, page, name) {
  if (world.folder) await page.screenshot({ path: `${world.folder}/keeping-${name}.png` })
}
async function openMenu(page, name) {
  await folder(page, new RegExp(`^${name}`)).hover()
  await page.getByRole('button', { name: `What to do with ${name}` }).click()
}
async function openDialog(page, name) {
  await openMenu(page, name)
  await page.getByRole('menuitem', { name: 'Keep mail for…' }).click()
  await dialog(page).getByText(`How long ${name} keeps its mail`).first().waitFor()
}
async function said(page, name) {
  const [{ list }] = await jmap(page, ['Mailbox/get', { ids: null, properties: ['name', 'retentionDays'] }])
  return list.find((each) => each.name === name).retentionDays
}

export const checks = {
  async the_trash_tells_and_leads_to_the_choice(world) {
    const page = (world.page = await signedIn(world.browser, world.stage.web, ALICE, { password: world.stage.people[ALICE] }))
    await folder(page, /^Trash/).click()
    await note(page, 30).waitFor()
    await page.getByRole('button', { name: 'Change how long mail is kept here' }).click()
    assert.ok(await choice(page, 'As usual here: 30 days').isChecked())
    await dialog(page).getByText('A message is deleted 30 days after it came into Trash').waitFor()
    await dialog(page).getByText('For 14 days it can be had back').waitFor()
    await dialog(page).getByText('No message has been here for that long yet.').waitFor()
    await isAccessible(page)
    await choice(page, 'Until I delete it').check()
    await dialog(page).getByText('Nothing leaves by itself.').waitFor()
    await press(page, 'Save')
    await gone(page)
    await note(page, 30).waitFor({ state: 'detached' })
    assert.equal(await said(page, 'Trash'), 0)
    await openDialog(page, 'Trash')
    assert.ok(await choice(page, 'Until I delete it').isChecked())
    await choice(page, 'As usual here: 30 days').check()
    await press(page, 'Save')
    await note(page, 30).waitFor()
    assert.equal(await said(page, 'Trash'), null)
  },
  async what_would_be_lost_is_asked_about(world) {
    const { page, ask } = world
    await folder(page, /^News/).click()
    await row(page, 'Old tide').waitFor()
    assert.equal(await page.locator('.pane-list').getByText('is removed after').count(), 0)
    await openDialog(page, 'News')
    assert.equal(await dialog(page).getByText('As usual here').count(), 0)
    assert.ok(await choice(page, 'Until I delete it').isChecked())
    await choice(page, '90 days').check()
    await dialog(page).getByText('No message has been here for that long yet.').waitFor()
    await choice(page, '30 days').check()
    await dialog(page).getByText('2 messages have been here for longer').waitFor()
    await isAccessible(page)
    await picture(world, page, 'would-go')
    await press(page, 'Save')
    await page.getByText('Delete 2 messages from News?').waitFor()
    await picture(world, page, 'asked')
    await press(page, 'Cancel')
    assert.equal(await said(page, 'News'), null)
    assert.equal(await ask('hour'), 0)
    await press(page, 'Save')
    await press(page, 'Delete and save')
    await gone(page)
    await page.locator('.toast').getByText('Mail in News is removed after 30 days').waitFor()
    await note(page, 30).waitFor()
    assert.equal(await said(page, 'News'), 30)
  },
  async then_it_leaves_and_can_be_had_back({ page, ask }) {
    assert.deepEqual((await ask('subjects', 'News')).length, 4)
    assert.equal(await ask('hour'), 2)
    await row(page, 'Old tide').waitFor({ state: 'detached' })
    await row(page, 'Dear tide').waitFor()
    assert.deepEqual((await ask('subjects', 'News')).sort(), ['Dear tide', 'New tide'])
    await visit(page, '/settings/deleted')
    const back = page.getByRole('button', { name: 'Bring back: Old tide', exact: true })
    await back.click()
    await back.waitFor({ state: 'detached' })
    assert.deepEqual((await ask('subjects', 'News')).sort(), ['Dear tide', 'New tide', 'Old tide'])
    assert.equal(await ask('hour'), 0) // its days begin anew
  },
  async a_number_of_ones_own({ page }) {
    await visit(page, '/mail/inbox')
    await openDialog(page, 'News')
    assert.ok(await choice(page, '30 days').isChecked())
    await choice(page, 'Another number of days').check()
    const field = dialog(page).getByRole('spinbutton')
    for (const wrong of ['0', '-3', '1.5', '36501', '']) {
      await field.fill(wrong)
      await dialog(page).getByText('A whole number from 1 to 36,500.').waitFor()
      assert.ok(await dialog(page).getByRole('button', { name: 'Save' }).isDisabled())
    }
    await field.fill('45')
    await field.press('Enter')
    await gone(page)
    assert.equal(await said(page, 'News'), 45)
    await openDialog(page, 'News')
    assert.equal(await field.inputValue(), '45')
    await page.keyboard.press('Escape')
    await gone(page)
  },
  async a_failure_is_told_where_one_looks({ page }) {
    await openDialog(page, 'News')
    await choice(page, '365 days').check()
    await dialog(page).getByText('No message has been here').waitFor()
    await page.route(isApi, (route) => route.abort())
    await press(page, 'Save')
    await dialog(page).getByText('The server does not answer.').waitFor()
    await page.unroute(isApi)
    await press(page, 'Save')
    await gone(page)
    assert.equal(await said(page, 'News'), 365)
  },
  async some_folders_keep_everything({ page }) {
    for (const name of ['Inbox', 'Drafts']) {
      await openMenu(page, name)
      await page.getByRole('menuitem', { name: 'Mark everything read' }).waitFor()
      assert.equal(await page.getByRole('menuitem', { name: 'Keep mail for…' }).count(), 0)
      await page.keyboard.press('Escape')
    }
  },
  async who_shares_the_folder_sees_it_and_cannot_change_it({ browser, stage, page }) {
    const bob = await signedIn(browser, stage.web, BOB, { password: stage.people[BOB] })
    const [{ list: people }, { list: boxes }] = await jmap(page, ['Principal/get', { ids: null }], ['Mailbox/get', { ids: null, properties: ['name'] }])
    const [every, news] = [['mayReadItems', 'mayAddItems', 'mayRemoveItems', 'mayRename', 'mayDelete', 'mayCreateChild', 'maySetSeen'], boxes.find((each) => each.name === 'News')]
    const rights = Object.fromEntries(every.map((right) => [right, true]))
    await jmap(page, ['Mailbox/set', { update: { [news.id]: { shareWith: { [people.find((each) => each.email === BOB).id]: rights } } } }])
    await folder(bob, /^News/).click()
    await row(bob, 'Dear tide').waitFor()
    await note(bob, 365).waitFor()
    assert.equal(await bob.getByRole('button', { name: 'Change how long' }).count(), 0)
    await openMenu(bob, 'News')
    await bob.getByRole('menuitem', { name: 'Rename' }).waitFor()
    assert.equal(await bob.getByRole('menuitem', { name: 'Keep mail for…' }).count(), 0)
    assert.deepEqual([...page.faults, ...bob.faults], [])
  },
}
