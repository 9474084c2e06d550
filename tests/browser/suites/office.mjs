// Settings and administration by a person's hand: what is pressed happens, and programs feel it.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { signedIn, signIn } from '../browser.mjs'

const PASSWORD = 'posthouse'
const base = (world) => world.stage.name // by a name: passkeys are not for bare addresses

async function at(world, address) {
  world.page ??= await signedIn(world.browser, base(world), 'alice@north.test')
  await world.page.goto(base(world) + address)
  return world.page
}
const press = (page, name, exact = true) => page.getByRole('button', { name, exact }).first().click()
const line = (page, text) => page.locator('.lines > li', { hasText: text })
const dialog = (page) => page.locator('dialog[open]')
/** A field by the words at it. */
const field = (place, name) => place.getByRole('textbox', { name, exact: true })
const choice = (place, name) => place.getByRole('combobox', { name })
const gone = (locator) => locator.first().waitFor({ state: 'detached' })

async function confirm(page, name) {
  await dialog(page).getByRole('button', { name, exact: true }).click()
  await gone(dialog(page))
}
async function withPassword(page) {
  await field(dialog(page), 'Password').fill(PASSWORD)
  await dialog(page).getByRole('button', { name: 'Go on' }).click()
}

/** The code of a TOTP secret now (RFC 6238). */
function codeOf(secret) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...secret.replace(/\s/g, '')].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((octet) => parseInt(octet, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)))
  const digest = createHmac('sha1', key).update(counter).digest()
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff
  return String(number % 1_000_000).padStart(6, '0')
}

export const checks = {
  async aliases(world) {
    const page = await at(world, '/admin/aliases')
    await press(page, 'Add an alias')
    await field(page, 'Address').fill('lamps@north.test')
    await field(page, 'Goes to').fill('alice@north.test\ndora@north.test')
    await press(page, 'Create')
    await line(page, 'lamps@north.test').getByText('alice@north.test, dora@north.test').waitFor()
    await press(page, 'Change: lamps@north.test')
    await field(page, 'Goes to').fill('dora@north.test')
    await press(page, 'Save')
    await line(page, 'lamps@north.test').getByText('→ dora@north.test').waitFor()
    await press(page, 'Delete: lamps@north.test')
    await confirm(page, 'Delete')
    await gone(line(page, 'lamps@north.test'))
    await press(page, 'Change: north.test')
    await field(dialog(page), 'Address').fill('dora@north.test')
    await dialog(page).getByRole('button', { name: 'Save' }).click()
    await page.getByText('→ dora@north.test').first().waitFor()
    await press(page, 'Turn off: north.test')
    await gone(page.getByRole('button', { name: 'Turn off: north.test', exact: true }))
  },
  async quotas(world) {
    const page = await at(world, '/admin/accounts')
    await line(page, 'dora@north.test').getByText('of 500 MB').waitFor()
    await press(page, 'Change: dora@north.test')
    await field(page, 'Quota').fill('much')
    await press(page, 'Save')
    await page.getByText('This is no size').waitFor()
    await field(page, 'Quota').fill('1.5 GB')
    await press(page, 'Save')
    await line(page, 'dora@north.test').getByText('of 1.5 GB').waitFor()
  },
  async the_queue(world) {
    const page = await at(world, '/admin/queue')
    const first = page.locator('article', { hasText: 'first@away.test' })
    await first.getByText('Held').first().waitFor()
    await first.getByRole('button', { name: 'Release' }).click()
    await first.getByRole('button', { name: 'Hold' }).waitFor()
    await first.getByRole('button', { name: 'Its story' }).click()
    await dialog(page).getByText('queued').first().waitFor()
    await page.keyboard.press('Escape')
    await page.getByLabel('Sender, recipient, host or reply').fill('second@')
    await page.locator('.bar input').check()
    await press(page, 'Drop')
    await dialog(page).getByText('Drop one message?').waitFor()
    await confirm(page, 'Drop')
    await page.getByLabel('Sender, recipient, host or reply').fill('')
    await first.waitFor()
    await gone(page.locator('article', { hasText: 'second@away.test' }))
  },
  async suppression(world) {
    const page = await at(world, '/admin/suppressions')
    await press(page, 'Add addresses')
    await field(page, 'Addresses').fill('a@far.test, b@far.test')
    await field(page, 'Reason').fill('asked not to')
    await dialog(page).getByRole('button', { name: 'Add addresses' }).click()
    await line(page, 'b@far.test').getByText('asked not to').waitFor()
    await press(page, 'Send again: b@far.test')
    await confirm(page, 'Send again')
    await gone(line(page, 'b@far.test'))
    await line(page, 'a@far.test').waitFor()
  },
  async held_refused_and_reports(world) {
    const page = await at(world, '/admin/held')
    await press(page, 'Release: dora@north.test')
    await confirm(page, 'Release')
    await page.getByText('No account is held.').waitFor()
    await page.goto(`${base(world)}/admin/rejects`)
    await page.getByText('Why it was refused').click()
    await press(page, 'Rescue: You have won 恭喜中奖')
    await page.getByText('Nothing is kept that was refused.').waitFor()
    await page.goto(`${base(world)}/admin/reports`)
    await press(page, /Huadong Mail/)
    await dialog(page).getByText('203.0.113.200').waitFor()
    await page.keyboard.press('Escape')
    await press(page, /Lisboa Mail/)
    await dialog(page).getByText('certificate-expired').waitFor()
    await page.goto(`${base(world)}/admin/certificate`)
    await page.getByText('self-signed').waitFor()
    await page.goto(`${base(world)}/admin/backup`)
    await line(page, 'accounts').waitFor()
  },
  async a_token_opens_and_its_end_shuts(world) {
    const page = await at(world, '/settings/tokens')
    await press(page, 'New token')
    await field(page, 'Device or program').fill('backup-script')
    await choice(page, 'Ends').selectOption({ label: 'in 30 days' })
    await field(dialog(page), 'Password').fill('guess')
    await press(page, 'Create')
    await page.getByText('The password is not right.').waitFor()
    await field(dialog(page), 'Password').fill(PASSWORD)
    await press(page, 'Create')
    const token = await dialog(page).locator('.mono').innerText()
    const open = () => fetch(`${world.stage.north}/.well-known/jmap`, { headers: { authorization: `Bearer ${token}` } })
    assert.equal((await open()).status, 200)
    await press(page, 'Done')
    const section = page.locator('#tokens')
    await section.getByText(/JMAP · ends/).waitFor()
    await page.reload()
    await section.getByText('Last used').waitFor()
    await press(page, 'Revoke: backup-script')
    await confirm(page, 'Revoke')
    await section.getByText('There are none yet.').waitFor()
    assert.equal((await open()).status, 401)
  },
  async an_app_password_is_for_what_it_says(world) {
    const page = await at(world, '/settings/app-passwords')
    await press(page, 'New app password')
    await field(page, 'Device or program').fill('Phone')
    await dialog(page).getByLabel('Fetching (POP3)').uncheck()
    await dialog(page).getByLabel('Sending (SMTP)').uncheck()
    await field(dialog(page), 'Password').fill(PASSWORD)
    await press(page, 'Create')
    const secret = await dialog(page).locator('.mono').innerText()
    assert.ok(await world.ask('may_log_in', 'imap', 'alice@north.test', secret))
    assert.ok(!(await world.ask('may_log_in', 'smtp', 'alice@north.test', secret)))
    await press(page, 'Done')
    await press(page, 'Revoke: Phone')
    await confirm(page, 'Revoke')
    await page.locator('#app-passwords').getByText('There are none yet.').waitFor()
    assert.ok(!(await world.ask('may_log_in', 'imap', 'alice@north.test', secret)))
  },
  async sessions_are_ended(world) {
    const others = await Promise.all([1, 2, 3].map(() => signedIn(world.browser, world.stage.north, 'alice@north.test')))
    const page = await at(world, '/settings/sessions')
    const lines = page.locator('#sessions').getByRole('button', { name: /^Sign out:/ })
    await lines.nth(2).waitFor()
    const before = await lines.count()
    await lines.first().click()
    await confirm(page, 'Sign out')
    await gone(lines.nth(before - 1))
    await press(page, 'Sign out all others')
    await confirm(page, 'Sign out')
    await gone(page.locator('#sessions').getByRole('button', { name: /^Sign out:/ }))
    for (const other of others) {
      assert.equal((await other.request.get(`${world.stage.north}/.well-known/jmap`)).status(), 401)
      await other.context().close()
    }
  },
  async who_writes_and_who_is_away(world) {
    const page = await at(world, '/settings')
    await press(page, 'Write as another address')
    await field(dialog(page), 'Address').fill('carol@south.test')
    await dialog(page).getByRole('button', { name: 'Create' }).click()
    await page.getByText('You may not write as this address.').waitFor()
    await press(page, 'Write as another address')
    await field(dialog(page), 'Address').fill('info@north.test')
    await dialog(page).getByRole('button', { name: 'Create' }).click()
    const form = page.getByRole('form', { name: 'info@north.test' })
    await form.getByLabel('Name').fill('The office')
    await form.getByLabel('Signature').fill('North, by the sea')
    await form.getByRole('button', { name: /^Save/ }).click()
    await page.getByText('Saved', { exact: true }).waitFor()
    await page.reload()
    assert.equal(await form.getByLabel('Signature').inputValue(), 'North, by the sea')
    await form.getByRole('button', { name: /^Delete/ }).click()
    await confirm(page, 'Delete')
    await gone(form)
    const away = page.locator('#vacation')
    await away.getByLabel('Answer automatically').check()
    await away.getByLabel('First day').fill('2026-12-24')
    await away.getByLabel('Last day').fill('2027-01-06')
    await away.getByLabel('Text').fill('Back in January.')
    await away.getByRole('button', { name: /^Save/ }).click()
    await page.getByText('Saved. Senders are answered.').waitFor()
    await page.reload()
    await page.waitForFunction(() => document.querySelector('#vacation input[type=date]')?.value === '2026-12-24')
    await page.locator('#keys').getByRole('checkbox').uncheck()
    await page.keyboard.press('?')
    assert.equal(await dialog(page).count(), 0)
    await page.locator('#keys').getByRole('checkbox').check()
  },
  async mail_in_and_out(world) {
    const page = await at(world, '/settings/transfer')
    const letter = (number) => `From x@y.test Thu Nov  5 08:09:1${number} 2026\nStatus: RO\nX-Status: F\nFrom: x@y.test\nSubject: Carried ${number}\nMessage-ID: <carried-${number}@y.test>\n\n>From the attic\n\n`
    const mbox = Buffer.from(letter(1) + letter(2))
    await page.getByLabel('Files').setInputFiles({ name: 'old.mbox', mimeType: 'application/mbox', buffer: mbox })
    await choice(page, 'Into the folder').selectOption('Reisen')
    await press(page, 'Import')
    await page.getByText('2 messages taken.').waitFor()
    await press(page, 'Import')
    await page.getByText('0 messages taken. 2 were there already.').waitFor()
    await choice(page, 'What').selectOption({ label: 'Reisen (2)' })
    const out = async (form, name) => {
      await choice(page, 'As').selectOption(form)
      const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Export')])
      assert.equal(download.suggestedFilename(), name)
      return readFileSync(await download.path())
    }
    const text = (await out('mbox', 'Reisen.mbox')).toString()
    assert.equal(text.match(/^From /gm).length, 2)
    assert.ok(text.includes('\nX-Status: F\n') && text.includes('\n>From the attic\n'))
    const zip = await out('eml', 'Reisen.zip')
    await page.getByLabel('Files').setInputFiles({ name: 'mine.zip', mimeType: 'application/zip', buffer: Buffer.from(zip) })
    await press(page, 'Import')
    await page.getByText('0 messages taken. 2 were there already.').waitFor()
    await page.getByLabel('Files').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('Dear diary\n') })
    await press(page, 'Import')
    await page.getByText('No mail in: notes.txt').waitFor()
  },
  async a_passkey_signs_in(world) {
    const page = await at(world, '/settings/passkeys')
    const devices = await page.context().newCDPSession(page)
    await devices.send('WebAuthn.enable')
    await devices.send('WebAuthn.addVirtualAuthenticator', {
      options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
    })
    await press(page, 'Add a passkey')
    await field(dialog(page), 'Name of the device').fill('Laptop')
    await dialog(page).getByRole('button', { name: 'Go on' }).click()
    await withPassword(page)
    await page.locator('#passkeys').getByText('Laptop').waitFor()
    await page.locator('.account').click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await page.waitForURL('**/login*')
    await page.locator('#passkey button').click()
    await page.locator('.pane-list').waitFor()
    await page.goto(`${base(world)}/settings/passkeys`)
    await page.locator('#passkeys').getByText('Last used').waitFor()
    await press(page, 'Revoke: Laptop')
    await confirm(page, 'Revoke')
    await page.locator('#passkeys').getByText('There are none yet.').waitFor()
    await page.context().clearCookies()
    await page.goto(`${base(world)}/login`)
    await page.locator('#passkey button').click()
    await page.waitForURL('**fault=wrong-passkey**')
    await signIn(page, base(world), 'alice@north.test')
  },
  async a_second_factor(world) {
    const page = await at(world, '/settings/factor')
    await press(page, 'Turn on the second factor')
    await withPassword(page)
    const secret = await dialog(page).locator('.mono').innerText()
    await field(dialog(page), 'Code').fill('000000')
    await press(page, 'Confirm')
    await page.getByText('The code is not right.').waitFor()
    await field(dialog(page), 'Code').fill(codeOf(secret))
    await press(page, 'Confirm')
    await page.locator('.codes li').first().waitFor()
    const codes = await dialog(page).locator('.codes li').allInnerTexts()
    assert.ok(codes.length >= 8)
    await page.context().clearCookies()
    await page.goto(`${base(world)}/login`)
    await page.locator('input[autocomplete~=username]').fill('alice@north.test')
    await page.locator('input[type=password]').fill(PASSWORD)
    await page.locator('button[type=submit]').first().click()
    await page.locator('input[autocomplete~=one-time-code]').fill(codes[0])
    await page.locator('button[type=submit]').first().click()
    await page.locator('.pane-list').waitFor()
    await page.goto(`${base(world)}/settings/factor`)
    await page.getByText(`${codes.length - 1} recovery codes are left`).waitFor()
    await press(page, 'Turn off the second factor')
    await withPassword(page)
    await page.getByRole('button', { name: 'Turn on the second factor' }).waitFor()
  },
  async nothing_went_wrong_unseen({ page }) {
    assert.deepEqual(page.faults, [])
  },
}
