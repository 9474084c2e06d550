// What the service worker keeps and answers: the application, and nothing of anybody's mail.
import { describe, expect, it } from 'vitest'
import { isPage, isShell, wanted } from '../worker/shell'

describe('the service worker', () => {
  it.each(['/', '/mail/inbox', '/mail/inbox/T1', '/search', '/track/M1', '/contacts', '/settings/safety', '/admin', '/compose'])('opens %s without a connection', (path) => expect(isPage(path)).toBe(true))
  it.each(['/login', '/logout', '/jmap/', '/jmap/download/A/B/x', '/.well-known/jmap', '/mail/frame', '/mail/safe', '/mail/image', '/apple.mobileconfig', '/health'])('leaves %s alone', (path) => expect([isPage(path), isShell(path)]).toEqual([false, false]))
  it('keeps each file of a version once, and no other', () => {
    const manifest = { 'index.html': { file: 'assets/index-1.js', css: ['assets/index-1.css'] }, 'src/x.ts': { file: 'assets/x-2.js', css: ['assets/index-1.css'] }, 'worker/sw.ts': { file: 'sw.js' } }
    expect(wanted(manifest)).toEqual(['/assets/index-1.js', '/assets/index-1.css', '/assets/x-2.js', '/seal.svg', '/seal-unread.svg', '/app.webmanifest'])
  })
})
