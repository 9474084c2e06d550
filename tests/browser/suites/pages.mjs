// Every page by axe, in both themes, wide and on a phone: no serious fault.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { signedIn } from '../browser.mjs'

const AXE = readFileSync(new URL('../../../webmail/node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
const PAGES = {
  inbox: async () => {},
  conversation: async (page) => {
    await page.locator('.row', { hasText: 'lighthouse' }).locator('.open').click()
    await page.locator('article.open').first().waitFor()
  },
  letter: async (page, base) => {
    await page.goto(`${base}/search?q=ferry`)
    await page.locator('.row .open').first().click()
    await page.locator('article iframe').waitFor()
  },
  compose: async (page, base) => {
    await page.goto(`${base}/compose?to=carol@south.test`)
    await page.locator('.window').waitFor()
  },
  keys: async (page) => {
    await page.keyboard.press('?')
    await page.locator('dialog').waitFor()
  },
  menu: async (page) => {
    await page.locator('.account').click()
    await page.locator('[role=menu]').waitFor()
  },
  contacts: async (page, base) => {
    await page.goto(`${base}/contacts/all/new?email=carol@south.test&name=Carol`)
    await page.locator('form').waitFor()
  },
  trust: async (page, base) => {
    await page.goto(`${base}/mail/junk`)
    await page.locator('.row .open').first().click()
    await page.locator('.trust .line').click()
    await page.locator('meter').waitFor()
  },
  settings: async (page, base) => page.goto(`${base}/settings`),
  track: async (page, base) => page.goto(`${base}/track/nothing`),
  lost: async (page, base) => page.goto(`${base}/nowhere`),
}

export const checks = Object.fromEntries(
  [['light', 1440, 900], ['dark', 1440, 900], ['light', 360, 740]].map(([theme, width, height]) => [
    `axe_${theme}_${width}`,
    async (world) => {
      const { browser, stage } = world
      const page = (world.page = await signedIn(browser, stage.north, 'alice@north.test', { viewport: { width, height }, colorScheme: theme, bypassCSP: true, reducedMotion: 'reduce' }))
      const wrong = []
      for (const [name, go] of Object.entries(PAGES)) {
        await page.goto(`${stage.north}/mail/inbox`)
        await page.locator('.row .open').first().waitFor()
        await go(page, stage.north)
        await page.waitForTimeout(200)
        await page.evaluate(AXE)
        const found = await page.evaluate(() => window.axe.run(document, { iframes: false, resultTypes: ['violations'] }))
        for (const each of found.violations) {
          if (['serious', 'critical'].includes(each.impact)) wrong.push(`${name}: ${each.id}: ${each.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 140)} ${node.any[0]?.message ?? ''}`).join(' | ')}`)
        }
      }
      assert.deepEqual([...wrong, ...page.faults], [])
      await page.context().close()
    },
  ]),
)
