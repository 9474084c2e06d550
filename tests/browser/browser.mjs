// Chromium for the browser tests and the screenshots: a page that is logged in, and what it must never do.
import { createRequire } from 'node:module'
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PATIENCE } from './looking.mjs'

const require = createRequire(new URL('../../webmail/package.json', import.meta.url))
export const { chromium } = require('playwright-core')
/** Where `install-peers.sh --fonts` puts what a machine without Chinese lacks. */
const FONTS = fileURLToPath(new URL('../../.peers/usr/share/fonts', import.meta.url))
// (The tests' databases stand in /dev/shm too.)
const QUIET = ['--headless', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--force-color-profile=srgb']

/** A browser with an empty profile; `close` removes it. A stage with a `name` is known to it by that. */
export async function launch(stage = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'posthouse-browser-'))
  if (existsSync(FONTS)) symlinkSync(FONTS, join(folder, '.fonts'))
  const named = stage.name ? [`--host-resolver-rules=MAP ${new URL(stage.name).hostname} ${new URL(stage.north).hostname}`] : []
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...QUIET, ...named], env: { ...process.env, HOME: folder } })
  return {
    browser,
    async close() {
      await browser.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A window of somebody who has signed in. */
export async function signedIn(browser, base, address, options = {}) {
  const { password = 'posthouse', patience = PATIENCE, ...rest } = options
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', timezoneId: 'UTC', ...rest })
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  page.faults = []
  page.on('crash', () => page.faults.push('the page crashed'))
  page.on('pageerror', (error) => page.faults.push(String(error)))
  await signIn(page, base, address, password)
  return page
}

/** Go somewhere within the application, as a link does: nothing is loaded again. */
export async function visit(page, address) {
  await page.evaluate((to) => {
    for (const each of document.querySelectorAll('dialog[open]')) each.dispatchEvent(new Event('cancel', { cancelable: true }))
    history.pushState(null, '', to)
    dispatchEvent(new PopStateEvent('popstate'))
  }, address)
}

/** Open an address. A network interface that comes or goes on this machine, as other tests make them, stops what Chromium loads. */
async function load(page, address) {
  for (let tries = 0; ; tries++) {
    try {
      return await page.goto(address)
    } catch (error) {
      if (tries === 5 || !String(error).includes('ERR_NETWORK_CHANGED')) throw error
    }
  }
}

/** By the sign-in page. */
export async function signIn(page, base, address, password = 'posthouse') {
  await load(page, `${base}/login?to=%2Fmail%2Finbox`)
  const name = page.locator('input[autocomplete~=username]')
  if ((await name.count()) === 0) {
    // A house without a sign-in page takes name and password with every request (RFC 7617).
    await page.context().setExtraHTTPHeaders({ authorization: `Basic ${Buffer.from(`${address}:${password}`).toString('base64')}` })
    await load(page, `${base}/mail/inbox`)
  } else {
    await name.fill(address)
    await page.locator('input[type=password]').fill(password)
    await page.locator('button[type=submit]').first().click()
    await page.waitForURL((url) => url.pathname !== '/login')
    if (!page.url().includes('/mail')) await load(page, `${base}/mail/inbox`)
  }
  await page.locator('.pane-list').waitFor()
}
