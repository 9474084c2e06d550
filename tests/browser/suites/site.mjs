// One window of the webmail while the nodes behind the balancer die and come back: its page stays, and so does its session.
import assert from 'node:assert/strict'
import { atOnce, now, PATIENCE, row } from '../looking.mjs'
import { signedIn } from '../browser.mjs'

const stage = JSON.parse(process.env.STAGE)
const RECONNECTING = 20_000 // the page hears of new mail again: the browser waits some seconds before it joins anew

const starred = (page, subject, is) => () => row(page, subject).locator(is ? '.star.on' : '.star:not(.on)').waitFor({ timeout: PATIENCE })

async function goesOn({ page, ask }, name) {
  const subject = await ask('kill', name)
  await row(page, subject).waitFor({ timeout: RECONNECTING })
  const other = await page.context().newPage()
  await other.goto(`${stage.name}/mail/inbox`)
  await row(other, subject).waitFor({ timeout: PATIENCE })
  await other.close()
  const back = await ask('bring_back', name)
  await row(page, back).waitFor({ timeout: RECONNECTING })
  assert.ok(await page.evaluate(() => window.neverReloaded), 'it is the page that was opened at first')
}

export const checks = {
  async log_in_and_read(world) {
    const { address, password } = stage
    world.page = await signedIn(world.browser, stage.name, address, { password, ignoreHTTPSErrors: true })
    await row(world.page, 'for the browser').waitFor()
    await world.page.evaluate(() => (window.neverReloaded = true))
  },
  async a_star_is_seen_everywhere({ page, ask }) {
    const subject = 'for the browser'
    for (const node of ['in1', 'in2']) {
      const store = (sign) => () => ask('store', node, subject, sign)
      await atOnce(...['+', '-', '+'].map((sign) => [store(sign), starred(page, subject, sign === '+')]))
      await ask('store', node, subject, '-')
      await starred(page, subject, false)()
    }
    const press = () => now(() => row(page, subject).locator('.star').click())
    const seen = (is) => async () => { for (const node of ['in1', 'in2']) assert.ok(await ask('until', node, subject, is)) }
    await atOnce([press, seen(true)], [press, seen(false)], [press, seen(true)])
  },
  ...Object.fromEntries(stage.nodes.map((name) => [`${name}_is_killed_and_comes_back`, (world) => goesOn(world, name)])),
}
