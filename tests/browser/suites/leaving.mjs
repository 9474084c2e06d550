// Leaving a mailing list with one press, where the list offers it and where it then refuses.
import assert from 'node:assert/strict'
import { signedIn } from '../browser.mjs'

async function leave(page, subject) {
  await page.locator('.row').filter({ has: page.getByText(subject, { exact: true }) }).locator('.open').click()
  await page.locator('.conversation h1', { hasText: subject }).waitFor()
  await page.getByRole('button', { name: 'Unsubscribe' }).click()
  await page.locator('dialog').getByRole('button', { name: 'Unsubscribe' }).click()
}
const toast = (page) => page.locator('.toast', { hasText: 'The list was told' })

export const checks = {
  async the_list_is_told_at_once(world) {
    const { browser, stage, ask } = world
    const page = (world.page = await signedIn(browser, stage.web, stage.address, { password: stage.password }))
    await leave(page, 'Harbour news')
    await toast(page).waitFor()
    assert.equal(await toast(page).getByText('Undo send').count(), 0) // nothing was sent that could be called back
    await page.locator('.bar').getByText('Unsubscribed').waitFor()
    assert.equal(await ask('heard'), 1)
    await page.reload()
    await page.locator('.bar').getByText('Unsubscribed').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Unsubscribe' }).count(), 0)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  },
  async what_it_refuses_goes_by_a_message(world) {
    const { browser, stage, ask } = world
    const page = (world.page = await signedIn(browser, stage.web, stage.address, { password: stage.password }))
    await ask('refuse')
    await leave(page, 'Harbour news again')
    await toast(page).getByText('Undo send').click()
    await page.getByRole('button', { name: 'Unsubscribe' }).waitFor()
    assert.equal(await ask('heard'), 2)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  },
}
