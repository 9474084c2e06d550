// Runs suites of checks in one browser: node run.mjs SUITE[,SUITE]. The stage's addresses come as JSON in STAGE. Each check prints a
// line of JSON:
// {"passed": name, "seconds": n} or {"failed": name, "why": text}. A line {"ask": [what, …]} is a question to the test that
// started this, which watches the same mailboxes by other protocols; its answer is the next line of our input.
// CHECKS names the only checks to run, by commas. DEBUG_FILE is where Playwright notes what it does: of a check that stands still its end is told.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { launch } from './browser.mjs'

/** Milliseconds for one check: what waits for something that never comes is told, and the others go on. */
const LONGEST = 120_000
/** Lines of Playwright's notes that are told then. */
const LAST = 12

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export async function ask(...question) {
  console.log(JSON.stringify({ ask: question }))
  const { value } = await lines.next()
  const answer = JSON.parse(value)
  if (answer.error) throw new Error(answer.error)
  return answer.is
}

const [, , name, folder] = process.argv
const stage = JSON.parse(process.env.STAGE)
const { browser, close } = await launch(stage)
const only = process.env.CHECKS?.split(',')
let failed = 0
const lastDone = () => readFileSync(process.env.DEBUG_FILE, 'utf8').trimEnd().split('\n').slice(-LAST).join('\n')
async function inTime(check) {
  let timer
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`stood still for ${LONGEST} ms\n${lastDone()}`)), LONGEST)))
  await Promise.race([check, late]).finally(() => clearTimeout(timer))
}
/** Where each person's page is: a click may have led elsewhere than was meant. */
const whatIsShown = (world) => Object.entries(world).filter(([, page]) => page?.mainFrame).map(([who, page]) => `${who} is at ${page.url()}`)
async function runSuite(name) {
  const { checks } = await import(`./suites/${name}.mjs`)
  const world = { browser, stage, ask, folder }
  for (const [title, check] of Object.entries(checks)) {
    if (only && !only.includes(title)) continue
    const start = performance.now()
    try {
      await inTime(check(world))
      console.log(JSON.stringify({ passed: title, seconds: Number(((performance.now() - start) / 1000).toFixed(2)) }))
    } catch (error) {
      failed++
      if (world.page && folder) await world.page.screenshot({ path: `${folder}/${name}-${failed}.png` }).catch(() => {})
      const why = [...String(error?.stack ?? error).slice(0, 1500).split('\n'), ...whatIsShown(world)]
      console.log(JSON.stringify({ failed: title, why: why.join('\n') }))
    }
  }
}
try {
  for (const each of name.split(',')) await runSuite(each)
} finally {
  await close()
}
process.exit(failed ? 1 : 0)
