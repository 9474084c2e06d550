// Letters that want to run, load or break out: opened one by one as a reader would, with a trap for each kind of success.
import assert from 'node:assert/strict'
import { signedIn } from '../browser.mjs'

const OURS = /^\/(assets\/|index\.html$|jmap|mail\/(frame|safe|inbox)|login|seal|\.well-known\/jmap|app\.webmanifest|$)/
const SPY = 'http://spy.test/'

/** Record everything that a letter must not achieve. */
async function trap(page, base) {
  const caught = []
  await page.context().route('**', (route) => {
    const url = route.request().url()
    if (url.startsWith('data:') || url.startsWith('blob:')) return route.continue()
    if (url.startsWith(base) && OURS.test(new URL(url).pathname)) return route.continue()
    caught.push(`asked for ${url}`)
    return route.abort()
  })
  page.on('dialog', (dialog) => { caught.push(`dialog ${dialog.message()}`); void dialog.dismiss() })
  page.on('popup', (popup) => caught.push(`popup ${popup.url()}`))
  page.on('framenavigated', (frame) => { if (frame.parentFrame() && !/\/mail\/frame$|^about:blank$/.test(frame.url())) caught.push(`frame went to ${frame.url()}`) })
  return caught
}

export const checks = {
  async the_trap_catches({ browser }) {
    const page = await browser.newPage()
    const caught = await trap(page, 'http://nowhere.test')
    await page.setContent(`<img src=x onerror="top.__ran=1"><script>fetch('${SPY}')</script><style>body{background:url(${SPY}css)}</style>`)
    await page.waitForFunction(() => window.__ran === 1)
    await page.waitForTimeout(100)
    assert.ok(caught.some((each) => each.endsWith(SPY)) && caught.some((each) => each.endsWith('css')), caught.join())
    await page.close()
  },
  async nothing_runs_and_nothing_loads(world) {
    const { stage, browser } = world
    const page = (world.page = await signedIn(browser, stage.north, 'alice@north.test'))
    const caught = await trap(page, stage.north)
    const wrong = []
    const seen = new Set()
    for (let number = 0; number < stage.conversations; number++) {
      if (number === 0) await page.locator('.row .open').first().click()
      else await page.keyboard.press('j')
      // All letters of a conversation are unread, so all of them are open; each is written into its frame.
      const found = await page.waitForFunction((seen) => {
        const articles = [...document.querySelectorAll('article[data-email]')]
        const isShown = (article) => article.matches('.open') && article.querySelector('iframe')?.contentDocument?.head?.children.length === 2
        return articles.length && !seen.includes(articles[0].dataset.email) && articles.every(isShown) ? articles.map((article) => article.dataset.email) : false
      }, [...seen])
      for (const id of await found.jsonValue()) seen.add(id)
      const states = await page.evaluate(() => [...document.querySelectorAll('article.open')].map((article) => {
        const frame = article.querySelector('iframe')
        const inside = frame.contentDocument
        for (const element of inside.body.querySelectorAll('*')) {
          for (const name of ['mouseover', 'pointerover', 'pointerenter', 'focus', 'animationstart', 'animationend', 'toggle', 'wheel', 'load', 'error']) element.dispatchEvent(new Event(name, { bubbles: true }))
          if (!/^https?:|^mailto:/.test(element.getAttribute('href') ?? '')) element.click?.()
        }
        const box = frame.getBoundingClientRect()
        return {
          name: article.querySelector('.who').innerText,
          ran: window.__ran ?? frame.contentWindow.__ran,
          active: [...inside.querySelectorAll('script, iframe, frame, object, embed, applet, form, input, button, link, meta[http-equiv], base, svg, math, video, audio, template')].map((each) => each.outerHTML.slice(0, 80)),
          handlers: [...inside.querySelectorAll('*')].flatMap((each) => [...each.attributes].filter((one) => /^on/i.test(one.name) || /^\s*(javascript|vbscript|data:text)/i.test(one.value)).map((one) => one.name)),
          sandbox: frame.sandbox.contains('allow-scripts'),
          covers: document.elementFromPoint(5, 5) === frame || box.left < 300,
        }
      }))
      for (const state of states) if (state.ran || state.active.length || state.handlers.length || state.sandbox || state.covers) wrong.push(JSON.stringify(state))
      if (caught.length) wrong.push(`${states.map((state) => state.name).join(', ')}: ${caught.splice(0).join(', ')}`)
    }
    await page.waitForTimeout(300)
    assert.deepEqual([...wrong, ...caught, ...page.faults], [])
    assert.equal(seen.size, stage.count)
    await page.context().close()
  },
  async pictures_come_through_the_proxy_when_wanted({ browser, stage }) {
    const page = await signedIn(browser, stage.north, 'alice@north.test')
    const asked = []
    page.on('request', (request) => asked.push(request.url()))
    await page.goto(`${stage.north}/search?q=subject%3Aelsewhere`)
    await page.locator('.row', { hasText: 'A picture from elsewhere' }).locator('.open').click()
    const fetched = page.waitForRequest((request) => request.url().includes('/mail/image?'))
    await page.getByRole('button', { name: 'Show pictures' }).click()
    await page.frameLocator('article iframe').locator('img[src]').waitFor({ state: 'attached' })
    await fetched
    assert.ok(asked.some((url) => url.startsWith(`${stage.north}/mail/image?`)))
    assert.deepEqual(asked.filter((url) => !url.startsWith(stage.north)), [])
    await page.context().close()
  },
}
