// Every page by axe, wide in light colours and on a phone in dark ones: no serious fault. One window goes from page to page.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { signedIn, visit } from '../browser.mjs'

const AXE = readFileSync(new URL('../../../webmail/node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
const WIDE = { width: 1440, height: 900 }
const PHONE = { width: 360, height: 740 }
const ADMIN = ['status', 'log', 'domains', 'accounts', 'aliases', 'lists', 'queue', 'held', 'suppressions', 'rejects', 'reports', 'certificate', 'backup']
const settled = (page) => page.waitForFunction(() => !document.querySelector('.loading') && !document.querySelector('[aria-busy=true]'))

const press = (page, name) => page.getByRole('button', { name }).first().click()

/** Name → how to get there. */
const PAGES = {
  inbox: (page) => visit(page, '/mail/inbox'),
  menu: async (page) => {
    await page.locator('.account').click()
    await page.locator('[role=menu]').waitFor()
  },
  conversation: async (page) => {
    await page.keyboard.press('Escape')
    await page.locator('.row', { hasText: 'lighthouse' }).locator('.open').click()
    await page.locator('article.open').first().waitFor()
  },
  keys: async (page) => {
    await page.keyboard.press('?')
    await page.locator('dialog').waitFor()
  },
  letter: async (page) => {
    await visit(page, '/search?q=ferry')
    await page.locator('.row .open').first().click()
    await page.locator('article iframe').waitFor()
  },
  settings: async (page) => {
    await visit(page, '/settings')
    await page.locator('#tokens').waitFor()
    await page.locator('#signature form').first().waitFor()
  },
  'a rule': async (page) => {
    await press(page, 'New rule')
    await page.locator('dialog .what').first().waitFor()
  },
  'a script': async (page) => {
    await page.keyboard.press('Escape')
    await page.locator('#filters summary').click()
    await press(page, 'New script')
    await page.locator('dialog textarea').waitFor()
  },
  'a new token': async (page) => {
    await page.keyboard.press('Escape')
    await press(page, 'New token')
    await page.getByLabel('Device or program').waitFor()
  },
  'a second factor': async (page) => {
    await page.keyboard.press('Escape')
    await press(page, 'Turn on the second factor')
    await page.locator('dialog').waitFor()
  },
  ...Object.fromEntries(
    ADMIN.map((name) => [
      `admin ${name}`,
      async (page) => {
        await page.keyboard.press('Escape')
        await visit(page, `/admin/${name}`)
        await page.locator('.admin h1').waitFor()
        await settled(page)
      },
    ]),
  ),
  'admin domain': async (page) => {
    await visit(page, '/admin/domains')
    await page.locator('.admin .name', { hasText: 'north.test' }).first().click()
    await page.locator('.records li').first().waitFor()
  },
  'admin account': async (page) => {
    await visit(page, '/admin/accounts')
    await press(page, 'Change: alice@north.test')
    await page.locator('dialog').waitFor()
  },
  'admin report': async (page) => {
    await page.keyboard.press('Escape')
    await visit(page, '/admin/reports')
    await press(page, /Huadong/)
    await page.locator('dialog table').waitFor()
  },
  track: async (page) => {
    await page.keyboard.press('Escape')
    await visit(page, '/track/nothing')
    await settled(page)
  },
  lost: (page) => visit(page, '/nowhere'),
  compose: async (page) => {
    await visit(page, '/compose?to=carol@south.test')
    await page.locator('.window').waitFor()
  },
  'sent lately': async (page) => {
    await page.keyboard.press('Escape')
    await visit(page, '/track')
    await settled(page)
  },
  'a new contact': async (page) => {
    await visit(page, '/contacts/all/new?email=carol@south.test&name=Carol')
    await page.locator('form').waitFor()
  },
  contacts: async (page) => {
    await visit(page, '/contacts')
    await settled(page)
    await page.getByRole('button', { name: 'New contact' }).first().waitFor()
  },
  trust: async (page) => {
    await visit(page, '/mail/junk')
    await page.locator('.row .open').first().click()
    await page.locator('.trust .line').click()
    await page.locator('meter').waitFor()
  },
}

/** Serious faults of what is shown. */
async function faults(page, where) {
  const found = await page.evaluate(() => window.axe.run(document, { iframes: false, resultTypes: ['violations'] }).then((all) => all.violations))
  return found
    .filter((each) => ['serious', 'critical'].includes(each.impact))
    .map((each) => `${where}: ${each.id}: ${each.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 140)} ${node.any[0]?.message ?? ''}`).join(' | ')}`)
}

/** What is shown, in both widths and both colours. */
async function everyWay(page, name) {
  const wrong = await faults(page, name)
  await page.setViewportSize(PHONE)
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  wrong.push(...(await faults(page, `${name}, phone, dark`)))
  const wide = await page.evaluate(() => document.documentElement.scrollWidth)
  if (wide > PHONE.width) wrong.push(`${name}: ${wide} wide on a phone`)
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  await page.setViewportSize(WIDE)
  return wrong
}

export const checks = {
  async axe_before_signing_in({ browser, stage }) {
    const context = await browser.newContext({ viewport: WIDE, locale: 'en-GB', bypassCSP: true, reducedMotion: 'reduce' })
    const page = await context.newPage()
    const wrong = []
    for (const [name, address] of [['sign in', '/login'], ['wrong password', '/login?fault=wrong'], ['sign in, Chinese', '/login?lang=zh-CN']]) {
      await page.goto(stage.north + address)
      await page.evaluate(AXE)
      wrong.push(...(await everyWay(page, name)))
    }
    assert.deepEqual(wrong, [])
    await context.close()
  },
  async axe_on_every_page(world) {
    const { browser, stage } = world
    const names = Object.keys(PAGES)
    // Two windows share the work: each page is reached from any other.
    const halves = [names.slice(0, names.indexOf('admin status')), names.slice(names.indexOf('admin status'))]
    const wrong = await Promise.all(
      halves.map(async (half, number) => {
        const page = await signedIn(browser, stage.north, 'alice@north.test', { viewport: WIDE, bypassCSP: true, reducedMotion: 'reduce' })
        if (number === 0) world.page = page
        await page.locator('.row .open').first().waitFor()
        await page.evaluate(AXE)
        const wrong = []
        for (const name of half) {
          try {
            await PAGES[name](page)
          } catch (fault) {
            throw new Error(`on the way to ${name}: ${fault.message}`, { cause: fault })
          }
          wrong.push(...(await everyWay(page, name)))
        }
        wrong.push(...page.faults)
        await page.context().close()
        return wrong
      }),
    )
    assert.deepEqual(wrong.flat(), [])
  },
}
