import { expect, test } from 'vitest'
import { bytes, joined, mboxPart, readMbox, textOf, withCrlf, type Found } from '../src/settings/transfer/mbox'
import { dayIn, endOf, startOf } from '../src/settings/days'

/** As a file comes: in pieces that end anywhere. */
function stream(raw: Uint8Array, piece: number): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(control) {
      for (let at = 0; at < raw.length; at += piece) control.enqueue(raw.slice(at, at + piece))
      control.close()
    },
  })
}
async function read(raw: Uint8Array, piece = 1000): Promise<Found[]> {
  const found: Found[] = []
  for await (const each of readMbox(stream(raw, piece))) found.push(each)
  return found
}
const every = Uint8Array.from({ length: 256 }, (_, octet) => octet).filter((octet) => octet !== 10 && octet !== 13)
const letter = joined([bytes('From: a@b.test\r\nSubject: x\r\n\r\nFrom here\r\n>From there\r\n'), every, bytes('\r\n')])
const email = { receivedAt: '2026-11-05T08:09:10Z', keywords: { $seen: true, $flagged: true, work: true }, from: [{ email: 'a@b.test' }] }

test.each([1, 7, 64, 100_000])('what is written is read back, in pieces of %d', async (piece) => {
  const found = await read(joined([mboxPart(letter, email), mboxPart(bytes('Subject: y\r\n\r\n'), { ...email, keywords: {}, from: null })]), piece)
  expect(found.map((each) => textOf(each.raw))).toEqual([textOf(letter), 'Subject: y\r\n\r\n'])
  expect(found.map((each) => Object.keys(each.keywords).sort())).toEqual([['$flagged', '$seen', 'work'], []])
  expect(found[0]?.receivedAt).toBe('2026-11-05T08:09:10Z')
})
test('a line that only begins with From is text', async () => {
  const [one, ...more] = await read(bytes('From x@y Thu Nov  5 08:09:10 2026\nSubject: z\n\nFrom now on\n\nFrom far away\n'))
  expect(more).toEqual([])
  expect(textOf((one as Found).raw)).toBe('Subject: z\r\n\r\nFrom now on\r\n\r\nFrom far away\r\n')
})
test('what is no mbox is said', async () => {
  await expect(read(bytes('Dear diary\n'))).rejects.toThrow('no mbox')
  expect(await read(bytes(''))).toEqual([])
})
test('line ends become those of mail', () => {
  expect(textOf(withCrlf(bytes('a\nb\r\nc')))).toBe('a\r\nb\r\nc')
})
test('days are the whole days of the reader', () => {
  const day = '2026-03-29'
  expect([dayIn(startOf(day)), dayIn(endOf(day))]).toEqual([day, day])
  expect([dayIn(null), startOf(''), endOf('')]).toEqual(['', null, null])
})
