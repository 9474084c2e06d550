// A picture of every page, in both languages, light and dark, at three widths, into the folder given. `make screenshots`.
// ONLY, LANGUAGES, THEMES and WIDTHS name some of them.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { signedIn, signIn } from '../browser.mjs'
import { jmap } from '../hands.mjs'

const WIDTHS = (process.env.WIDTHS ?? '360,1024,1920').split(',').map((width) => [Number(width), { 360: 740, 1024: 768 }[width] ?? 1080])
const LANGUAGES = (process.env.LANGUAGES ?? 'en,zh-CN').split(',')
const THEMES = (process.env.THEMES ?? 'light,dark').split(',')

/** Name → how to get there; the page stands at the inbox each time. */
const PAGES = {
  async inbox() {},
  async conversation(page, base) {
    await read(page, base, 'lighthouse')
  },
  async newsletter(page, base) {
    await read(page, base, 'ferry')
  },
  async chinese(page, base) {
    await read(page, base, '评审会')
  },
  async forged(page, base) {
    await read(page, base, 'Nordbank')
    await page.locator('.trust .line').first().click()
  },
  async junk(page, base) {
    await page.goto(`${base}/mail/junk`)
    await page.locator('.row .open').first().click()
    await page.locator('.trust .line').first().click()
  },
  async stranger(page, base) {
    await read(page, base, 'order')
  },
  async invitation(page, base) {
    await read(page, base, 'review')
    await page.locator('.answers').waitFor()
  },
  async compose(page, base) {
    await page.goto(`${base}/compose?to=${encodeURIComponent('Carol Meier <carol@south.test>, 王小明 <wang.xiaoming@huadong.test>')}&subject=${encodeURIComponent('Lanterns for Saturday 周六的灯笼')}&body=${encodeURIComponent('Shall I bring the two large lanterns?\n\nAlice')}`)
    await page.locator('.window').waitFor()
    await page.setInputFiles('input[type=file]', { name: 'lanterns 灯笼.pdf', mimeType: 'application/pdf', buffer: Buffer.alloc(184_320) })
    await page.locator('.files').waitFor()
    await page.waitForTimeout(400)
  },
  async kept(page) {
    await page.context().setOffline(true)
    await page.keyboard.press('c')
    await page.getByRole('combobox').nth(1).fill('carol@south.test')
    await page.keyboard.press('Enter')
    await page.locator('.window .subject').fill('Half a thought 半句话')
    await page.keyboard.press('Escape')
    await page.locator('.kept').waitFor()
  },
  async search(page, base) {
    await page.goto(`${base}/search?q=${encodeURIComponent('has:attachment 主题:评审会')}`)
    await page.waitForTimeout(300)
    await page.getByRole('combobox').first().click()
    await page.waitForTimeout(200)
  },
  async nothing(page, base) {
    await page.goto(`${base}/mail/archive`)
  },
  async folders(page) {
    await openFolders(page)
    await page.locator('.folder .options button').nth(1).click({ force: true })
  },
  async share(page, base) {
    await shareFolder(page, 'Projects', 'dora@north.test', 'work')
    await page.goto(`${base}/mail/inbox`)
    await openFolders(page)
    await page.getByRole('link', { name: /^Projects/ }).first().hover()
    await page.getByRole('button', { name: /Projects/ }).locator('visible=true').last().click()
    await page.getByRole('menuitem', { name: /^(Share…|共享…)$/ }).click()
    await page.locator('dialog select').waitFor()
  },
  async keep(page, base) {
    await keepFor(page, 'Projects', 0)
    await openKeeping(page, base, 'Projects')
    await page.locator('dialog input[type=radio]').nth(2).check()
    await page.locator('dialog .what p:nth-child(2):not(:empty)').waitFor()
  },
  async 'keep-own'(page, base) {
    await keepFor(page, 'Projects', 45)
    await openKeeping(page, base, 'Projects')
    await page.locator('dialog .what p:nth-child(2):not(:empty)').waitFor()
  },
  async 'keep-note'(page, base) {
    await keepFor(page, 'Trash', 30)
    await page.goto(`${base}/mail/trash`)
    await page.locator('.pane-list p button').waitFor()
  },
  async shared(page, base) {
    await sharedByDora(page, base)
    await page.goto(`${base}/mail/inbox`)
    await page.locator('.row .open').first().waitFor()
    await openFolders(page)
    await page.getByRole('link', { name: /^灯塔之友/ }).first().scrollIntoViewIfNeeded()
  },
  async 'shared-reading'(page, base) {
    await sharedByDora(page, base)
    await page.goto(`${base}/mail/inbox`)
    await openFolders(page)
    await page.getByRole('link', { name: /^灯塔之友/ }).first().click()
    await page.locator('.row .open').first().click()
    await page.locator('article.open').first().waitFor()
  },
  async keys(page) {
    await page.keyboard.press('?')
  },
  async account(page) {
    await page.locator('.account').click()
  },
  async track(page, base) {
    await page.goto(`${base}/mail/sent`)
    await page.locator('.row .open').first().click()
    const link = page.locator('.track').first()
    await link.waitFor()
    await link.click()
    await page.locator('details ol').first().waitFor()
  },
  async lately(page, base) {
    await page.goto(`${base}/track`)
    await page.locator('time').first().waitFor()
  },
  async contacts(page, base) {
    await page.goto(`${base}/contacts`)
    await page.locator('section .list').waitFor()
    if ((await page.locator('section li').count()) < 5) await fillContacts(page)
    await page.goto(`${base}/contacts`)
    await page.locator('section li').nth(4).waitFor()
  },
  async contact(page, base) {
    await page.goto(`${base}/contacts`)
    await page.getByRole('link', { name: /Ingrid/ }).click()
    await page.locator('article').waitFor()
  },
  async contactedit(page, base) {
    await page.goto(`${base}/contacts`)
    await page.getByRole('link', { name: /Ingrid/ }).click()
    await page.getByRole('button', { name: /^(Change|编辑)$/ }).click()
    await page.locator('form').waitFor()
  },
  async crop(page, base) {
    await PAGES.contactedit(page, base)
    const png = await page.evaluate(() => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 900, height: 600 })
      const context = canvas.getContext('2d')
      const sky = context.createLinearGradient(0, 0, 900, 600)
      for (const [at, colour] of ['#20435c', '#bcd7e6', '#f4b183'].entries()) sky.addColorStop(at / 2, colour)
      context.fillStyle = sky
      context.fillRect(0, 0, 900, 600)
      return canvas.toDataURL().split(',')[1]
    })
    await page.setInputFiles('input[accept*=webp]', { name: 'shore.png', mimeType: 'image/png', buffer: Buffer.from(png, 'base64') })
    await page.locator('dialog .frame').waitFor()
  },
  ...Object.fromEntries(
    ['signature', 'vacation', 'programs', 'app-passwords', 'factor', 'sessions', 'transfer', 'looks'].map((name) => [
      `settings-${name}`,
      async (page, base) => {
        await page.goto(`${base}/settings`)
        await page.locator('#sessions').waitFor()
        await page.locator('#signature form').first().waitFor()
        await page.locator(`#${name}`).evaluate((section) => section.scrollIntoView())
      },
    ]),
  ),
  async 'settings-deleted'(page, base) {
    await page.goto(`${base}/mail/trash`)
    await page.locator('.list').waitFor()
    const [{ ids }] = await jmap(page, ['Email/query', { filter: { subject: 'e' }, limit: 3 }])
    await jmap(page, ['Email/set', { destroy: ids }])
    await page.goto(`${base}/settings/deleted`)
    await page.locator('#deleted li').first().waitFor()
    await page.locator('#deleted').evaluate((section) => section.scrollIntoView())
  },
  async 'settings-masked'(page, base) {
    await page.goto(`${base}/settings/masked`)
    await page.locator('#masked form').waitFor()
    const [{ list }] = await jmap(page, ['MaskedEmail/get', {}])
    const wishes = [{ state: 'enabled', forDomain: 'https://lantern-shop.example', description: '灯笼 Lanterns' }, { state: 'disabled', forDomain: 'https://news.example' }, { state: 'deleted', description: 'The raffle' }]
    if (!list.length) await jmap(page, ['MaskedEmail/set', { create: Object.fromEntries(wishes.map((wish, number) => [`w${number}`, wish])) }])
    await page.goto(`${base}/settings/masked`)
    await page.locator('#masked li').first().waitFor()
    await page.locator('#masked').evaluate((section) => section.scrollIntoView())
  },
  async filters(page, base) {
    await fillFilters(page)
    await page.goto(`${base}/settings/filters`)
    await page.locator('#filters ol').waitFor()
    await page.locator('#filters').evaluate((section) => section.scrollIntoView())
  },
  async 'filters-rule'(page, base) {
    await PAGES.filters(page, base)
    await page.locator('#filters ol .what').first().click()
    await page.locator('dialog .found .hint').waitFor()
    await page.waitForTimeout(600)
  },
  async 'filters-faults'(page, base) {
    await PAGES.filters(page, base)
    await page.locator('#filters .controls button').first().click()
    await page.locator('dialog .what').first().waitFor()
    await page.locator('dialog footer button').last().click()
    await page.locator('dialog .fault').first().waitFor()
  },
  async 'filters-script'(page, base) {
    await PAGES.filters(page, base)
    await page.locator('#filters .controls button').nth(1).click()
    await page.locator('dialog textarea').fill(`${await page.locator('dialog textarea').inputValue()}keeep;\n`)
    await page.locator('dialog .faulty').waitFor()
  },
  async 'settings-token'(page, base) {
    await page.goto(`${base}/settings`)
    await page.locator('#tokens button').last().click()
    await page.locator('dialog').waitFor()
  },
  ...Object.fromEntries(
    ['status', 'log', 'domains', 'accounts', 'aliases', 'lists', 'queue', 'held', 'suppressions', 'rejects', 'reports', 'certificate', 'backup'].map((name) => [
      `admin-${name}`,
      async (page, base) => {
        await page.goto(`${base}/admin/${name}`)
        await page.locator('.admin .content :is(li, dl, section, .empty)').first().waitFor()
      },
    ]),
  ),
  async 'admin-domain'(page, base) {
    await page.goto(`${base}/admin/domains`)
    await page.locator('.admin .name', { hasText: 'north.test' }).first().click()
    await page.locator('.records li').first().waitFor()
  },
  async 'admin-report'(page, base) {
    await page.goto(`${base}/admin/reports`)
    await page.locator('.lines .name', { hasText: 'Huadong' }).click()
    await page.locator('dialog table').waitFor()
  },
  async 'admin-account'(page, base) {
    await page.goto(`${base}/admin/accounts`)
    await page.locator('.lines button').first().click()
    await page.locator('dialog').waitFor()
  },
  async 'sign-in'(page, base) {
    await anonymous(page, `${base}/login`)
  },
  async 'sign-in-failed'(page, base) {
    await anonymous(page, `${base}/login?fault=wrong-passkey`)
  },
  async offline(page) {
    await page.context().setOffline(true)
    await page.locator('.offline').waitFor()
  },
}

/** A few people, by the same JMAP as the page. */
async function fillContacts(page) {
  await page.evaluate(async () => {
    const session = await (await fetch('/.well-known/jmap')).json()
    const accountId = session.primaryAccounts['urn:ietf:params:jmap:contacts']
    const people = [['Ingrid Sørensen', 'ingrid@fjord.test', 'Fjord Photography', 'Photographer'], ['Carol Meier', 'carol@south.test', 'South Ltd', 'Finance'], ['Bob Okafor', 'bob@south.test', 'South Ltd', ''], ['王小明', 'wang.xiaoming@huadong.test', '华东分公司', '技术部'], ['李雪', 'lixue@xinhua-press.test', '新华出版社', '编辑'], ['陈建国', 'chen.jianguo@huadong.test', '华东分公司', '财务'], ['Mateus Albuquerque', 'mateus@lisboa.test', '', 'Translator'], ['Donaudampfschifffahrtsgesellschaft Kundendienst', 'kundendienst@donaudampfschifffahrt.test', '', ''], ['Hanna Virtanen', 'hanna@helsinki.test', 'Board', '']]
    const create = Object.fromEntries(people.map(([full, address, firm, title], index) => [`c${index}`, { '@type': 'Card', version: '1.0', uid: `urn:uuid:00000000-0000-4000-8000-00000000000${index}`, addressBookIds: { B1: true }, name: { full }, emails: { e: { address, contexts: { work: true } } }, ...(firm ? { organizations: { o: { name: firm } } } : {}), ...(title ? { titles: { t: { name: title } } } : {}), ...(index === 0 ? { phones: { p: { number: '+47 22 12 34 56', contexts: { private: true } } }, addresses: { a: { full: 'Strandgaten 14\n5013 Bergen' } }, anniversaries: { b: { kind: 'birth', date: { '@type': 'PartialDate', year: 1984, month: 6, day: 3 } } }, notes: { n: { note: 'Prefers letters in the morning.' } } } : {}) }]))
    // A landscape for the first two, as somebody would choose it.
    const upload = session.uploadUrl.replace('{accountId}', accountId)
    for (const [name, sky, sea] of [['c0', '#f4b183', '#20435c'], ['c1', '#bcd7e6', '#2f6f60']]) {
      const canvas = Object.assign(document.createElement('canvas'), { width: 200, height: 200 })
      const context = canvas.getContext('2d')
      for (const [colour, draw] of [[sky, () => context.rect(0, 0, 200, 200)], ['#fff4d6', () => context.arc(130, 80, 30, 0, 7)], [sea, () => context.ellipse(80, 220, 190, 110, 0, 0, 7)]]) {
        context.fillStyle = colour
        context.beginPath()
        draw()
        context.fill()
      }
      const body = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg'))
      const { blobId } = await (await fetch(upload, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body })).json()
      create[name].media = { photo: { kind: 'photo', blobId } }
    }
    create.g0 = { '@type': 'Card', version: '1.0', kind: 'group', addressBookIds: { B1: true }, name: { full: 'Lighthouse 灯塔' }, members: { 'urn:uuid:00000000-0000-4000-8000-000000000000': true, 'urn:uuid:00000000-0000-4000-8000-000000000001': true } }
    await fetch('/jmap/', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ using: Object.keys(session.capabilities), methodCalls: [['ContactCard/set', { accountId, create }, '0']] }) })
  })
}

/** Rules as somebody has them, and a script by hand, by the same JMAP as the page. */
async function fillFilters(page) {
  await page.evaluate(async () => {
    const session = await (await fetch('/.well-known/jmap')).json()
    const accountId = session.primaryAccounts['urn:ietf:params:jmap:sieve']
    const call = async (...methodCalls) => (await (await fetch('/jmap/', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ using: Object.keys(session.capabilities), methodCalls: methodCalls.map(([name, args], index) => [name, { accountId, ...args }, String(index)]) }) })).json()).methodResponses
    const [[, { list }]] = await call(['SieveScript/get', { ids: null }])
    if (list.length) return
    const rules = `# Rules of the webmail (Settings, Filters). What keeps to this form is shown there as rules.
require ["copy", "fileinto", "imap4flags"];

# rule:[Lighthouse 灯塔]
if anyof (header :contains "List-Id" "lighthouse.example.org", header :contains "Subject" "lighthouse")
{
    addflag "\\\\Flagged";
    fileinto "Projects/Lighthouse";
    stop;
}

# rule:[Donaudampfschifffahrtsgesellschaft Kundendienst und Fahrplanauskunft]
if allof (address :domain :is "From" "donaudampfschifffahrt.test", not header :contains "Subject" "Fahrplan", size :over 2M)
{
    redirect :copy "carol@south.test";
    fileinto "Gone";
}

# rule:[]
if false # allof (address :all :is "From" "wang.xiaoming@huadong.test")
{
    addflag "contract";
    stop;
}
`
    const text = (id, value) => ['Blob/upload', { create: { [id]: { type: 'application/sieve', data: [{ 'data:asText': value.replaceAll('\n', '\r\n') }] } } }]
    await call(text('r', rules), text('h', 'if true { keep; } else { stop; }\n'), ['SieveScript/set', { create: { r: { name: 'Filters', blobId: '#r' }, h: { name: 'By hand 手写', blobId: '#h' } }, onSuccessActivateScript: '#r' }])
  })
}

/** Folders stand beside the list, or behind a button. */
async function openFolders(page) {
  if (page.viewportSize().width < 1180) await page.locator('.burger button, nav button').filter({ visible: true }).first().click()
}

/** Say for how long a folder keeps its mail. */
async function keepFor(page, name, retentionDays) {
  const [{ list }] = await jmap(page, ['Mailbox/get', { ids: null, properties: ['name'] }])
  await jmap(page, ['Mailbox/set', { update: { [list.find((each) => each.name === name).id]: { retentionDays } } }])
}
async function openKeeping(page, base, name) {
  await page.goto(`${base}/mail/inbox`)
  await openFolders(page)
  await page.getByRole('link', { name: new RegExp(`^${name}`) }).first().hover()
  await page.getByRole('button', { name: new RegExp(name) }).locator('visible=true').last().click()
  await page.getByRole('menuitem', { name: /^(Keep mail for…|邮件保留时间…)$/ }).click()
  await page.locator('dialog .what p').first().waitFor()
}

/** Give somebody rights to a folder, by the same JMAP as the page. */
async function shareFolder(page, name, address, level) {
  await page.evaluate(
    async ([name, address, level]) => {
      const session = await (await fetch('/.well-known/jmap')).json()
      const accountId = session.primaryAccounts['urn:ietf:params:jmap:mail']
      const call = async (...methodCalls) => (await (await fetch('/jmap/', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ using: Object.keys(session.capabilities), methodCalls }) })).json()).methodResponses
      const work = ['maySetSeen', 'maySetKeywords', 'mayAddItems', 'mayRemoveItems']
      const rights = Object.fromEntries(['mayReadItems', ...(level === 'work' ? work : [])].map((right) => [right, true]))
      const [[, boxes], [, people]] = await call(['Mailbox/get', { accountId, ids: null, properties: ['name'] }, '0'], ['Principal/get', { accountId, ids: null, properties: ['email'] }, '1'])
      const box = boxes.list.find((each) => each.name === name)
      const person = people.list.find((each) => each.email === address)
      await call(['Mailbox/set', { accountId, update: { [box.id]: { shareWith: { [person.id]: rights } } } }, '0'])
    },
    [name, address, level],
  )
}

/** A folder of dora's with two letters, which alice may read; it is told as news the first time. */
async function sharedByDora(page, base) {
  const context = await page.context().browser().newContext()
  const dora = await context.newPage()
  await signIn(dora, base, 'dora@north.test')
  const made = await dora.evaluate(async () => {
    const session = await (await fetch('/.well-known/jmap')).json()
    const accountId = session.primaryAccounts['urn:ietf:params:jmap:mail']
    const call = async (...methodCalls) => (await (await fetch('/jmap/', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ using: Object.keys(session.capabilities), methodCalls }) })).json()).methodResponses
    const [[, { list }]] = await call(['Mailbox/get', { accountId, ids: null, properties: ['name'] }, '0'])
    if (list.some(({ name }) => name === '灯塔之友')) return false
    const [[, { created }]] = await call(['Mailbox/set', { accountId, create: { m: { name: '灯塔之友' } } }, '0'])
    const letter = (name, email, subject, text) => ({ mailboxIds: { [created.m.id]: true }, from: [{ name, email }], to: [{ email: 'dora@north.test' }], subject, bodyValues: { t: { value: text } }, textBody: [{ partId: 't', type: 'text/plain' }] })
    await call(['Email/set', { accountId, create: { a: letter('Ingrid Sørensen', 'ingrid@fjord.test', 'Keys to the lantern room', 'The keys hang behind the door of the boat house.\n\nIngrid'), b: letter('王小明', 'wang.xiaoming@huadong.test', '周六开放日安排', '周六上午九点在灯塔下集合，请各位带好名牌。\n\n小明') } }, '0'])
    return true
  })
  if (made) await shareFolder(dora, '灯塔之友', 'alice@north.test', 'read')
  await context.close()
}

/** A page as somebody sees it who has not signed in; the cookies come back afterwards. */
async function anonymous(page, address) {
  const cookies = await page.context().cookies()
  await page.context().clearCookies()
  await page.goto(address)
  await page.context().addCookies(cookies)
}

/** What is written in a picture is not offered in the next, unless it is saved as a draft by then. */
async function forget(page, base) {
  await page.goto(`${base}/mail/inbox`)
  await page.locator('.row .open').first().waitFor()
  await page.waitForTimeout(200)
  const discard = page.locator('.kept button').last()
  if (await discard.isVisible()) await discard.click()
}

async function read(page, base, words) {
  await page.goto(`${base}/search?q=${encodeURIComponent(words)}`)
  await page.locator('.row .open').first().click()
  await page.locator('article.open').first().waitFor()
  await page.waitForTimeout(400)
}

export const checks = Object.fromEntries(
  LANGUAGES.flatMap((language) =>
    THEMES.flatMap((theme) =>
      WIDTHS.map(([width, height]) => [
        `${language} ${theme} ${width}`,
        async ({ browser, stage, folder }) => {
          const base = stage.name // where passkeys are offered
          const place = `${folder}/${language}-${theme}-${width}`
          mkdirSync(place, { recursive: true })
          const page = await signedIn(browser, base, 'alice@north.test', { viewport: { width, height }, colorScheme: theme, locale: language === 'en' ? 'en-GB' : 'zh-CN', reducedMotion: 'reduce' })
          const only = process.env.ONLY?.split(',')
          for (const [name, go] of Object.entries(PAGES)) {
            if (only && !only.includes(name)) continue
            await page.goto(`${base}/mail/inbox`)
            await page.locator('.row .open').first().waitFor()
            try {
              await go(page, base)
              await page.waitForTimeout(250)
            } catch (error) {
              console.log(JSON.stringify({ says: `${place} ${name}: ${String(error).slice(0, 200)}` }))
            }
            await page.screenshot({ path: `${place}/${name}.png` })
            const wide = await page.evaluate(() => document.documentElement.scrollWidth)
            assert.ok(wide <= width, `${name} is ${wide} wide at ${width}`)
            await page.context().setOffline(false)
            if (['kept', 'compose'].includes(name)) await forget(page, base)
          }
          await page.context().close()
        },
      ]),
    ),
  ),
)
