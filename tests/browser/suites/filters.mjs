// Filters by a person's hand: rules are made, ordered, switched and taken back; a script's faults show at their lines; what is kept is Sieve.
import assert from 'node:assert/strict'
import { asks, done, enter, isApi, jmap, toast } from '../hands.mjs'
import { row } from '../looking.mjs'
import { visit } from '../browser.mjs'

const dialog = (page) => page.locator('dialog[open]').last()
const rules = (page) => page.locator('#filters ol > li')
const named = (place, name) => place.getByRole('button', { name, exact: true })

async function settings(world) {
  const page = await enter(world)
  await visit(page, '/settings/filters')
  await named(page, 'New rule').waitFor()
  return page
}
/** The script in use, as another program reads it. */
async function active(page) {
  const [scripts] = await jmap(page, ['SieveScript/get', { ids: null }])
  const used = scripts.list.find((script) => script.isActive)
  if (!used) return undefined
  const [blobs] = await jmap(page, ['Blob/get', { ids: [used.blobId], properties: ['data:asText'] }])
  return { ...used, text: blobs.list[0]['data:asText'] }
}
const names = (page) => rules(page).locator('strong').allTextContents()
async function shows(page, wanted) {
  await page.waitForFunction((wanted) => [...document.querySelectorAll('#filters ol > li strong')].map((each) => each.textContent).join() === wanted, wanted.join())
}

export const checks = {
  async a_rule_is_made(world) {
    const page = await settings(world)
    await named(page, 'New rule').click()
    const form = dialog(page)
    await form.getByRole('button', { name: 'Save' }).click()
    await form.getByText('Say what is looked for.').waitFor()
    await form.getByLabel('Name', { exact: true }).fill('Lanterns')
    await form.getByRole('combobox', { name: 'Condition 1', exact: true }).selectOption({ label: 'Subject' })
    await form.getByRole('textbox', { name: 'Value of condition 1' }).fill('lighthouse')
    await form.getByRole('status').getByText(/in the inbox (is|are) like this/).waitFor()
    await form.getByRole('combobox', { name: 'Detail of action 1' }).selectOption({ label: 'Projects / Lighthouse' })
    await form.getByRole('button', { name: 'Save' }).click()
    await toast(page, 'The rule is saved.').waitFor()
    await shows(page, ['Lanterns'])
    const script = await active(page)
    assert.match(script.text, /# rule:\[Lanterns\]\r\nif allof \(header :contains "Subject" "lighthouse"\)\r\n\{\r\n {4}fileinto .*"Projects\/Lighthouse";\r\n {4}stop;\r\n\}/)
    await done(page)
  },
  async from_a_message(world) {
    const page = await enter(world)
    await row(page, 'lighthouse').locator('.open').click()
    await page.locator('article.open').last().getByRole('button', { name: 'More' }).click()
    await page.getByRole('menuitem', { name: 'Filter messages like this' }).click()
    const form = dialog(page)
    await form.getByRole('textbox', { name: 'Value of condition 1' }).waitFor()
    assert.ok((await form.getByRole('textbox', { name: 'Value of condition 1' }).inputValue()).length > 3)
    await form.getByLabel('Name', { exact: true }).fill('Like this')
    await form.getByRole('combobox', { name: 'Action 1', exact: true }).selectOption({ label: 'Label' })
    await form.getByRole('combobox', { name: 'Detail of action 1' }).fill('two words')
    await form.getByRole('button', { name: 'Save' }).click()
    await toast(page, 'The rule is saved.').waitFor()
    assert.match((await active(page)).text, /addflag "two_words";/)
    await done(page)
  },
  async order_switch_and_undo(world) {
    const page = await settings(world)
    await shows(page, ['Lanterns', 'Like this'])
    await rules(page).nth(1).locator('.handle').focus()
    await page.keyboard.press('ArrowUp')
    await shows(page, ['Like this', 'Lanterns'])
    await page.getByText('“Like this” is now rule 1 of 2.').waitFor({ state: 'attached' })
    const handle = await rules(page).nth(1).locator('.handle').boundingBox()
    await page.mouse.move(handle.x + 8, handle.y + 8)
    await page.mouse.down()
    await page.mouse.move(handle.x + 8, handle.y - 60, { steps: 5 })
    await page.mouse.up()
    await shows(page, ['Lanterns', 'Like this'])
    await rules(page).nth(0).getByRole('switch').click()
    await page.waitForFunction(() => document.querySelector('#filters ol > li.off'))
    assert.match((await active(page)).text, /if false # allof \(header :contains "Subject" "lighthouse"\)/)
    await rules(page).nth(0).getByRole('switch').click()
    await page.waitForFunction(() => !document.querySelector('#filters ol > li.off'))
    await rules(page).nth(1).getByRole('button', { name: /^More about/ }).click()
    await page.getByRole('menuitem', { name: 'Delete' }).click()
    await shows(page, ['Lanterns'])
    await toast(page, 'Deleted: Like this').getByRole('button', { name: 'Undo' }).click()
    await shows(page, ['Lanterns', 'Like this'])
    await done(page)
  },
  async another_program_was_first(world) {
    const page = await settings(world)
    await shows(page, ['Lanterns', 'Like this'])
    await rules(page).nth(0).locator('.what').click()
    const before = await active(page)
    // While the form is open another program puts a script of its own; the page hears of it, and does not write over it unseen.
    let first = true
    await page.route(isApi, async (route) => {
      if (!first || !asks(route.request(), 'SieveScript/set')) return route.fallback()
      first = false
      await jmap(page, ['SieveScript/set', { update: { [before.id]: { name: 'Renamed elsewhere' } } }])
      return route.fallback()
    })
    await dialog(page).getByRole('button', { name: 'Save' }).click()
    await dialog(page).getByText('The filters were changed elsewhere meanwhile.').waitFor()
    await dialog(page).getByRole('button', { name: 'Save' }).click()
    await toast(page, 'The rule is saved.').waitFor()
    assert.equal((await active(page)).name, 'Renamed elsewhere')
    await done(page)
  },
  async a_script_as_text(world) {
    const page = await settings(world)
    await page.locator('#filters summary').click()
    await named(page, 'New script').click()
    const form = dialog(page)
    await form.getByLabel('Name', { exact: true }).fill('By hand')
    await form.getByLabel('Script (Sieve)').fill('keep;\nkeeep;\n')
    await form.getByText(/^Line 2: /).waitFor()
    await form.locator('.gutter .faulty', { hasText: '2' }).waitFor()
    await form.getByRole('button', { name: 'Save' }).click()
    await form.getByRole('alert').getByText(/has a fault/).waitFor()
    await form.getByLabel('Script (Sieve)').fill('if true { keep; } else { discard; }\n')
    await form.getByText('No faults.').waitFor()
    await form.getByRole('button', { name: 'Save' }).click()
    await toast(page, 'It is not in use.').waitFor()
    await named(page, 'Use: By hand').click()
    await page.getByText('“By hand” is in use. It says more than rules can show (line 1)').waitFor()
    assert.equal(await rules(page).count(), 0)
    await named(page, 'Use: Renamed elsewhere').click()
    await shows(page, ['Lanterns', 'Like this'])
    await named(page, 'Delete: By hand').click()
    await named(dialog(page), 'Delete').click()
    await named(page, 'Use: By hand').waitFor({ state: 'detached' })
    await page.getByLabel('Filters are on').click()
    await page.getByText('Filters are off').waitFor()
    assert.equal(await active(page), undefined)
    await page.getByLabel('Filters are on').click()
    await page.getByText('Filters are off').waitFor({ state: 'detached' })
    await done(page)
  },
  async what_is_here_already(world) {
    const page = await settings(world)
    await named(page, 'New rule').click()
    const form = dialog(page)
    await form.getByRole('combobox', { name: 'Condition 1', exact: true }).selectOption({ label: 'Subject' })
    await form.getByRole('textbox', { name: 'Value of condition 1' }).fill('ferry')
    await form.getByRole('combobox', { name: 'Detail of action 1' }).selectOption({ label: 'Reisen' })
    await form.getByLabel(/Do it with (this|these)/).check()
    await form.getByRole('button', { name: 'Save' }).click()
    await toast(page, /was applied to/).waitFor()
    await visit(page, '/mail/inbox')
    await row(page, 'ferry').waitFor({ state: 'detached' })
    await done(page)
  },
  async mail_goes_where_the_rule_says(world) {
    const page = await settings(world)
    await world.ask('deliver', 'Keys of the lighthouse')
    const [boxes] = await jmap(page, ['Mailbox/get', { ids: null, properties: ['name'] }])
    const box = boxes.list.find(({ name }) => name === 'Lighthouse')
    for (let end = Date.now() + 10_000; ; await page.waitForTimeout(100)) {
      const [found] = await jmap(page, ['Email/query', { filter: { inMailbox: box.id, subject: 'Keys' } }])
      if (found.ids.length) break
      assert.ok(Date.now() < end, 'it was not filed')
    }
    await done(page)
  },
}
