#include "services/gateways/admin/changes.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace mallbots::gateways {
namespace {

/// A viewer as README.md of the gateway describes it.
struct Page {
  std::map<std::string, std::string> rows;
  std::uint64_t last = 0;
  std::size_t snapshots = 0;
  bool is_loading = true;

  /// False: there was a gap.
  bool take(const Piece& piece) {
    if (piece.from == 0) {
      rows.clear();
      ++snapshots;
    } else if (piece.from != last) {
      return false;
    }
    for (const auto row : piece.rows) rows[std::string(row.substr(0, row.find('=')))] = row;
    for (const auto key : piece.removed) rows.erase(std::string(key));
    last = piece.to;
    is_loading = piece.more;
    return true;
  }
};

std::string row_of(const std::string& key, int value) { return key + "=" + std::to_string(value); }

std::string name(int number) { return "r" + std::to_string(number); }

/// Takes all there is; how many messages.
std::size_t catch_up(const Changes& changes, Place& place, Page& page,
                     const RowFilter& filter = {}) {
  std::size_t messages = 0;
  while (true) {
    const Piece piece = changes.next(place, filter);
    place = piece.after;
    if (!piece.is_news) return messages;
    EXPECT_TRUE(page.take(piece));
    ++messages;
    if (!piece.more) return messages;
  }
}

TEST(Changes, BeginsWithASnapshotAlsoAnEmptyOne) {
  Changes changes;
  Place place;
  Page page;
  EXPECT_EQ(catch_up(changes, place, page), 1U);
  EXPECT_FALSE(page.is_loading);
  EXPECT_EQ(catch_up(changes, place, page), 0U);
  changes.put("a", "a=1");
  EXPECT_EQ(catch_up(changes, place, page), 1U);
  EXPECT_EQ(page.rows.size(), 1U);
}

TEST(Changes, RowsThatStayTheSameAreNoNews) {
  Changes changes;
  Place place;
  Page page;
  changes.put("a", "a=1");
  catch_up(changes, place, page);
  changes.put("a", "a=1");
  EXPECT_EQ(catch_up(changes, place, page), 0U);
  changes.put("a", "a=1", {}, true);
  EXPECT_EQ(catch_up(changes, place, page), 1U);
  changes.remove("b");
  EXPECT_EQ(catch_up(changes, place, page), 0U);
}

TEST(Changes, RowThatChangedOftenComesOnceAsItIs) {
  Changes changes;
  Place place;
  Page page;
  catch_up(changes, place, page);
  for (int i = 0; i < 1'000; ++i) changes.put("a", row_of("a", i));
  const Piece piece = changes.next(place, {});
  ASSERT_EQ(piece.rows.size(), 1U);
  EXPECT_EQ(piece.rows[0], "a=999");
}

TEST(Changes, CutConnectionGoesOnWithExactlyWhatWasMissed) {
  Changes changes;
  Place place;
  Page page;
  for (int i = 0; i < 100; ++i) changes.put(name(i), row_of(name(i), i));
  catch_up(changes, place, page);
  // Cut; ten rows change and one goes.
  for (int i = 0; i < 10; ++i) changes.put(name(i), row_of(name(i), 1000 + i));
  changes.remove("r99");
  place = changes.place_of(page.last);
  const Piece missed = changes.next(place, {});
  EXPECT_EQ(missed.from, page.last);
  EXPECT_EQ(missed.rows.size(), 10U);
  EXPECT_EQ(missed.removed.size(), 1U);
  EXPECT_FALSE(missed.more);
  EXPECT_TRUE(page.take(missed));
  EXPECT_EQ(page.snapshots, 1U);
  // Back again with nothing missed: no news.
  EXPECT_FALSE(changes.next(changes.place_of(page.last), {}).is_news);
}

TEST(Changes, WhoLacksAForgottenRemovalStartsAnew) {
  Changes changes(2);
  Place place;
  Page page;
  for (int i = 0; i < 5; ++i) changes.put(name(i), row_of(name(i), i));
  catch_up(changes, place, page);
  for (int i = 0; i < 3; ++i) changes.remove("r" + std::to_string(i));
  catch_up(changes, place, page);
  EXPECT_EQ(page.snapshots, 2U);
  EXPECT_EQ(page.rows.size(), 2U);
}

TEST(Changes, NumberThatCannotBeStartsAnew) {
  Changes changes;
  changes.put("a", "a=1");
  EXPECT_EQ(changes.next(changes.place_of(77), {}).from, 0U);
}

TEST(Changes, TenThousandRowsComeInPiecesWhileTheyChange) {
  Changes changes;
  for (int i = 0; i < 10'000; ++i) changes.put(name(i), row_of(name(i), i));
  Place place;
  Page page;
  std::size_t pieces = 0;
  std::mt19937 random(7);
  do {
    const Piece piece = changes.next(place, {});
    place = piece.after;
    EXPECT_LE(piece.rows.size(), Changes::kRowsOfPiece);
    ASSERT_TRUE(page.take(piece));
    ++pieces;
    const std::string key = "r" + std::to_string(random() % 10'000);
    if (pieces % 2 == 0) {
      changes.put(key, row_of(key, -1));
    } else {
      changes.remove(key);
    }
  } while (page.is_loading);
  catch_up(changes, place, page);
  EXPECT_EQ(page.snapshots, 1U);
  EXPECT_GE(pieces, 20U);
}

TEST(Changes, FilterHidesWhatIsOfOthers) {
  Changes changes;
  changes.put("a", "a=1", {"s1"});
  changes.put("b", "b=1", {"s2"});
  changes.put("c", "c=1", {"s1", "s2"});
  Place place;
  Page page;
  const RowFilter mine{.by_store = true, .stores = {"s1"}};
  catch_up(changes, place, page, mine);
  EXPECT_EQ(page.rows.size(), 2U);
  changes.put("b", "b=2", {"s2"});
  EXPECT_EQ(catch_up(changes, place, page, mine), 0U);
  changes.remove("b");
  EXPECT_EQ(catch_up(changes, place, page, mine), 0U);
  changes.remove("c");
  EXPECT_EQ(catch_up(changes, place, page, mine), 1U);
  const RowFilter nobodys{.by_store = true, .stores = {}};
  EXPECT_TRUE(changes.next({}, nobodys).rows.empty());
}

TEST(Changes, OneRowAloneIsFollowed) {
  Changes changes;
  for (int i = 0; i < 1'000; ++i) changes.put(name(i), row_of(name(i), i));
  Place place;
  Page page;
  const RowFilter one{.key = "r7"};
  catch_up(changes, place, page, one);
  EXPECT_EQ(page.rows.size(), 1U);
  changes.put("r8", "r8=x");
  EXPECT_EQ(catch_up(changes, place, page, one), 0U);
  changes.put("r7", "r7=x");
  EXPECT_EQ(catch_up(changes, place, page, one), 1U);
  changes.remove("r7");
  catch_up(changes, place, page, one);
  EXPECT_TRUE(page.rows.empty());
}

/// Random changes, cuts and resumptions: the page's table is the truth whenever it has caught up.
TEST(Changes, NothingIsLostOrDoubledWhateverIsCut) {
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    Changes changes(1 + random() % 20);
    std::map<std::string, std::string> truth;
    Place place;
    Page page;
    for (int step = 0; step < 2'000; ++step) {
      const std::string key = "k" + std::to_string(random() % 50);
      switch (random() % 8) {
        case 0:
          changes.remove(key);
          truth.erase(key);
          break;
        case 1:
          place = changes.place_of(page.last);  // the connection was cut
          break;
        case 2:
        case 3: {
          const Piece piece = changes.next(place, {});
          if (random() % 4 == 0) break;  // made, not sent: the queue was full
          place = piece.after;
          if (piece.is_news) {
            ASSERT_TRUE(page.take(piece)) << seed;
          }
          break;
        }
        default:
          truth[key] = row_of(key, step);
          changes.put(key, truth[key]);
      }
      if (step % 100 == 99) {
        catch_up(changes, place, page);
        ASSERT_EQ(page.rows, truth) << seed << " " << step;
      }
    }
  }
}

}  // namespace
}  // namespace mallbots::gateways
