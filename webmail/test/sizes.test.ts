import { expect, test } from 'vitest'
import { octetsOf, sizeText } from '../src/admin/sizes'

test.each([
  ['2 GB', 2e9],
  ['500mb', 5e8],
  ['1.5 GB', 15e8],
  ['1,5G', 15e8],
  ['12', 12],
  ['', 0],
  [' 0 ', 0],
])('%s is %d octets', (text, octets) => {
  expect(octetsOf(text)).toBe(octets)
})
test.each(['GB', 'much', '2 GiB', '-1', '1 2', '2 GB!'])('%s is no size', (text) => {
  expect(octetsOf(text)).toBeUndefined()
})
test.each([0, 1, 999, 1500, 2e9, 15e8, 123_456_789, 5e12])('%d octets are written and read back', (octets) => {
  expect(octetsOf(sizeText(octets))).toBe(octets)
})
