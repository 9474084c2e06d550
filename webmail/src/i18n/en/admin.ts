// Words of the administration pages (src/admin).
export const admin = {
  'admin.title': 'Administration',
} as const
