// Scrolling through a very large mailbox: every frame is timed by the browser itself.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { signedIn } from '../browser.mjs'

const LONGEST_MS = 50 // the bound for a frame
// Processor time of the page's thread for a frame, on average. A frame at 60 a second has 16.7; a thread whose core is
// shared with other tests is charged up to three times what it needs alone (5 ms), so only the recorded trace is strict.
const WORK_MS = 16.7
const WORK_ALONE_MS = 10

export const checks = {
  async no_frame_is_late(world) {
    const { browser, stage, folder } = world
    const page = (world.page = await signedIn(browser, stage.web, stage.address, { password: stage.password, patience: 60_000 }))
    await page.locator('.row').first().waitFor()
    const total = await page.locator('.pane-list header .numbers').innerText()
    assert.equal(Number(total.replace(/\D/g, '')), stage.count)
    const client = await page.context().newCDPSession(page)
    await client.send('Performance.enable', { timeDomain: 'threadTicks' })
    const worked = async () => (await client.send('Performance.getMetrics')).metrics.find((each) => each.name === 'TaskDuration').value
    const before = await worked()
    const frames = await page.evaluate(async () => {
      const scroller = document.querySelector('.scroller')
      const end = scroller.scrollHeight - scroller.clientHeight
      const frames = []
      const tasks = []
      const watcher = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration)))
      watcher.observe({ type: 'longtask', buffered: false })
      // A hand on the wheel, then the bar dragged from top to bottom and back, then jumps.
      const path = []
      for (let step = 0; step < 240; step++) path.push(step * 90)
      for (let step = 0; step < 120; step++) path.push((end * step) / 120)
      for (let step = 0; step < 60; step++) path.push(end * (1 - step / 60))
      let before = await new Promise(requestAnimationFrame)
      for (const top of path) {
        scroller.scrollTop = top
        const now = await new Promise(requestAnimationFrame)
        frames.push(now - before)
        before = now
      }
      watcher.disconnect()
      return { frames, tasks, rows: document.querySelectorAll('.slot').length }
    })
    const work = ((await worked()) - before) * 1000
    const sorted = [...frames.frames].sort((one, other) => one - other)
    const report = { messages: stage.count, frames: sorted.length, work: work / sorted.length, median: sorted[Math.floor(sorted.length / 2)], p99: sorted[Math.floor(sorted.length * 0.99)], longest: sorted.at(-1), longestTask: Math.max(0, ...frames.tasks), rows: frames.rows }
    console.log(JSON.stringify({ says: report }))
    if (folder) writeFileSync(`${folder}/scroll.json`, JSON.stringify({ ...report, trace: frames.frames }))
    assert.ok(frames.rows < 60, `${frames.rows} rows exist at once`)
    assert.ok(report.work < (stage.record ? WORK_ALONE_MS : WORK_MS), `too much work for a frame: ${JSON.stringify(report)}`)
    const late = sorted.filter((each) => each > LONGEST_MS).length
    assert.ok(!stage.record || late === 0, `${late} frames over ${LONGEST_MS} ms: ${JSON.stringify(report)}`)
    // What is in sight when the scrolling rests is loaded.
    await page.locator('.scroller').evaluate((element) => element.scrollTo({ top: element.scrollHeight / 2 }))
    await page.locator('.row').first().waitFor()
    assert.deepEqual(page.faults, [])
    await page.context().close()
  },
}
