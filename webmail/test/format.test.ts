// Moments and texts as people read them.
import { expect, it } from 'vitest'
import { decodeText, nearDate } from '../src/design/format'

const now = new Date(2026, 10, 27, 12)

it('says the year of a moment in another one', () => {
  expect(nearDate(new Date(2024, 1, 3, 9, 30), now)).toContain('2024')
  expect(nearDate(new Date(2026, 1, 3, 9, 30), now)).not.toContain('2026')
  expect(nearDate(new Date(2026, 10, 27, 9, 30), now)).toBe('09:30')
})
it('reads a text in its charset, and in one that nobody knows as UTF-8', () => {
  const gbk = new Uint8Array([0xc6, 0xc0, 0xc9, 0xf3, 0xbb, 0xe1]).buffer
  expect(decodeText(gbk, 'gb2312')).toBe('评审会')
  expect(decodeText(new TextEncoder().encode('驿').buffer as ArrayBuffer, 'x-own')).toBe('驿')
})
