// Made-up stores, products, customers. Seeded: the same every time.

export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export const gbp = (minor) => ({minor, currency: "GBP"});

const kStores = ["Waterstone & Daughters", "Greengrocer Pike", "The Copper Kettle", "Lumen Electronics", "Nordlys Home", "Paper & Twine",
  "Halfpenny Toys", "Saltmarsh Fish Bar", "Atelier Moreau", "Bright & Early Bakery", "Kestrel Outdoor", "Violet Hour Gifts"];
const kThings = [["Regency teacup and saucer", "Bone china, green roses", 295], ["White hanging heart T-light holder", "Glass and wire", 255],
  ["Jumbo bag, red retrospot", "Holds 25 litres", 208], ["Set of 3 cake tins, pantry design", "Stacking, enamelled", 495],
  ["Assorted colour bird ornament", "Felt, with a ribbon", 169], ["Party bunting", "Cotton, 4 metres", 465], ["Lunch bag, black skull", "Insulated", 165],
  ["Natural slate heart chalkboard", "Comes with chalk", 325], ["Rabbit night light", "USB rechargeable", 1275], ["Paper chain kit, 50s Christmas", "", 295],
  ["Hot water bottle, keep calm", "Knitted cover, two litres, filled safely at up to 60 degrees", 695], ["Spotty bunting", "Cotton, 3 metres", 495],
  ["Doormat, new England", "Coir, 60 by 40 cm", 750], ["Gardeners kneeling pad, keep calm", "Foam", 165], ["Wooden picture frame, white finish", "A4", 255],
  ["Victorian sewing box, large", "Three trays and a pincushion inside", 1095], ["Vintage union jack memoboard", "", 695], ["Enamel watering can, cream", "1.8 litres", 1495],
  ["Bread bin, ivory", "With a bamboo lid", 1895], ["Feltcraft princess doll, Charlotte", "", 375]];
const kPeople = ["Ada Quill", "Ben Osei", "Chiara Lombardi", "Dmitri Volkov", "Esther Adeyemi", "Farid Haddad", "Grace O’Neill", "Hiro Tanaka",
  "Ines Carvalho", "Jonas Lindqvist", "Kavya Rao", "Liam Doyle", "Mei-Ling Zhou", "Noor Ali", "Oskar Brandt", "Priya Nair"];

export const kHostile = ['<img src=x onerror="window.__hit=1">', '"><script>window.__hit=1</script>', "<svg onload=window.__hit=1>", "javascript:window.__hit=1",
  "‮evil‬ name", "{{constructor.constructor('window.__hit=1')()}}"];

const hex = (next, length) => Array.from({length}, () => Math.floor(next() * 16).toString(16)).join("");
export const newId = (next) => `${hex(next, 8)}-${hex(next, 4)}-4${hex(next, 3)}-8${hex(next, 3)}-${hex(next, 12)}`;

export function makeCatalog({stores, products, hostile, seed = 7}) {
  const next = random(seed);
  const places = ["5,4", "12,4", "19,4", "26,4", "34,4", "5,9", "12,9", "19,9", "26,9", "34,9", "5,13", "12,13", "19,13", "26,13", "34,13"];
  const name = (text, index) => hostile ? `${kHostile[index % kHostile.length]} ${text}` : text;
  const all = Array.from({length: stores}, (_, index) => ({
    id: `store-${String(index + 1).padStart(4, "0")}`, name: name(kStores[index % kStores.length] + (index < kStores.length ? "" : ` ${1 + Math.floor(index / kStores.length)}`), index),
    location: places[index % places.length], participation: index < 9 || index >= 12 ? "participating" : ["requested", "requested", "private"][index - 9],
  }));
  const goods = [];
  for (const store of all) {
    for (let index = 0; index < products; ++index) {
      const [what, about, price] = kThings[(index + Math.floor(next() * 3)) % kThings.length];
      const round = Math.floor(index / kThings.length);
      goods.push({id: `${store.id}-p${index + 1}`, store_id: store.id, name: name(what + (round ? ` no. ${round + 1}` : ""), index),
        description: hostile ? kHostile[(index + 1) % kHostile.length] : about, sku: `${20000 + Math.floor(next() * 9999)}`, price: gbp(price + Math.floor(next() * 5) * 10)});
    }
  }
  return {stores: all, products: goods};
}

export function makeCustomers({customers, hostile, seed = 11}) {
  const next = random(seed);
  return Array.from({length: customers}, (_, index) => ({
    id: newId(next), name: hostile ? kHostile[index % kHostile.length] : kPeople[index % kPeople.length] + (index < kPeople.length ? "" : ` ${1 + Math.floor(index / kPeople.length)}`),
    sms_number: `+44${String(7700900000 + index)}`, enabled: index % 9 !== 4,
  }));
}

export const masked = (number) => `${number.slice(0, 3)}${"*".repeat(number.length - 5)}${number.slice(-2)}`;
