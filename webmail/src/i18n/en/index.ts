import { admin } from './admin'
import { common } from './common'
import { compose } from './compose'
import { contacts } from './contacts'
import { filters } from './filters'
import { mail } from './mail'
import { reading } from './reading'
import { said } from './said'
import { search } from './search'
import { settings } from './settings'
import { share } from './share'
import { track } from './track'
import { trust } from './trust'

export const en = { ...common, ...mail, ...contacts, ...reading, ...compose, ...said, ...search, ...track, ...trust, ...settings, ...filters, ...share, ...admin }
export type Key = keyof typeof en
