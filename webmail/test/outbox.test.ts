// Changes on their way to the server.
import { expect, it } from 'vitest'
import type { JmapClient } from '../src/jmap/client'
import type { Cache } from '../src/store/cache'
import { Outbox } from '../src/store/outbox'

const NOTHING = { refused: () => {}, unreachable: () => {}, signedOut: () => {} }

it('sends what comes at the moment when the last was sent', async () => {
  const sent: string[] = []
  const client = {
    limit: () => 500,
    batch: () => ({
      set: (_: string, { update }: { update: Record<string, unknown> }) => {
        sent.push(...Object.keys(update))
        return { result: {} }
      },
      send: async () => {},
    }),
  }
  const cache = {
    keepChange: async () => 1,
    forgetChange: () => {
      const forgotten = Promise.resolve()
      if (sent.length === 1) void forgotten.then(() => Promise.resolve().then(() => outbox.add({ second: {} })))
      return forgotten
    },
  }
  const outbox: Outbox = new Outbox(client as unknown as JmapClient, cache as unknown as Cache, NOTHING)
  outbox.add({ first: {} })
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect([sent, outbox.size]).toEqual([['first', 'second'], 0])
  await outbox.settled(true)
})
