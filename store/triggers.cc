// SPDX-License-Identifier: Apache-2.0
// What every statement in here has to stand:
//  - the conflict clause of the program's statement (INSERT OR REPLACE, UPDATE OR IGNORE ...)
//    replaces those inside triggers, so nothing in here may rely on one;
//  - with recursive_triggers=ON, replaced rows fire delete triggers, and ours fire themselves;
//  - a row's __op is a hint that counts only when the operation it points to is of that row:
//    programs copy rows, __op and all.
#include "store/triggers.h"

#include "store/schema.h"
#include "store/sql.h"

namespace holdfast::store {
namespace {

const std::string kNext = HOLDFAST_NEXT_SEQUENCE;
const std::string kNow = HOLDFAST_NOW_SECONDS;
const std::string kIntoShadows =
    "INSERT INTO __shadows(tableName,itemId,op,version,createdAt,updatedAt,content,refers) ";
// An edit makes a failed operation sendable. Its last attempt was refused; if it was not the only
// one, the server may have taken an earlier one, so it is not `pending` as one that never left.
const std::string kEdited = "changes=changes+1,editedAt=" HOLDFAST_NOW_SECONDS
                            ",state=CASE state WHEN 2 THEN attempts>1 ELSE state END";

// Joins by a balanced tree of parentheses: the parser's depth is limited (100 in our build).
std::string Join(const std::vector<std::string>& parts, std::size_t begin, std::size_t end,
                 const char* joiner) {
  if (end - begin == 1) return parts[begin];
  const std::size_t middle = begin + (end - begin) / 2;
  return "(" + Join(parts, begin, middle, joiner) + joiner + Join(parts, middle, end, joiner) + ")";
}

class Generator {
 public:
  explicit Generator(const TriggerTable& table)
      : table_(table),
        name_(QuoteName(table.name)),
        text_(QuoteText(table.name)),
        new_content_(ContentExpression(table, "NEW")),
        old_content_(ContentExpression(table, "OLD")) {}

  std::vector<Trigger> All() const {
    std::vector<Trigger> all = {Replace(),  Insert(), InsertOther(), SettleInsert(),
                                Identity(), System(), Delete()};
    if (!table_.columns.empty()) all.push_back(Update());
    if (table_.relations.empty()) all.push_back(CaptureReplaced());
    return all;
  }

 private:
  Trigger Make(const char* kind, const std::string& event, const std::string& when,
               const std::string& body) const {
    const std::string name = "__" + table_.name + "_" + kind;
    return {name, "CREATE TRIGGER " + QuoteName(name) + " " + event + " ON " + name_ + " WHEN " +
                      when + " BEGIN " + body + " END"};
  }

  // The row that the statement is about.
  std::string ThisRow(const std::string& row) const {
    return table_.row_key.empty() ? "id=" + row + ".id"
                                  : table_.row_key + "=" + row + "." + table_.row_key;
  }
  // The operation `sequence`, if it is one of this row.
  std::string OperationIs(const std::string& sequence, const std::string& row,
                          const std::string& alias = "") const {
    return alias + "sequence=" + sequence + " AND " + alias + "itemId=" + row + ".id AND " + alias +
           "tableName=" + text_;
  }
  std::string ShadowKey(const std::string& row, const std::string& alias = "") const {
    return alias + "tableName=" + text_ + " AND " + alias + "itemId=" + row + ".id";
  }
  std::string Shadow(const std::string& value, const std::string& and_where) const {
    return "(SELECT " + value + " FROM __shadows WHERE " + ShadowKey("NEW") + and_where + ")";
  }
  std::string DropErrors(const std::string& sequence, const std::string& row,
                         const std::string& and_where = "") const {
    return "DELETE FROM __errors WHERE id=" + sequence + " AND tableName=" + text_ +
           " AND itemId=" + row + ".id" + and_where + ";";
  }
  // INSERT .. SELECT that adds at most one operation; `values` follow the columns named here.
  std::string Queue(const std::string& values, const std::string& from_where) const {
    return "INSERT INTO "
           "__operations(sequence,tableName,itemId,kind,state,changes,attempts,queuedAt,"
           "baseVersion,base,item,previous,replaced,sent) SELECT " +
           kNext + "," + text_ + "," + values + " " + from_where + ";";
  }
  // The row takes the operation that the statement before has queued, if it did.
  std::string TakeQueued(const std::string& row, const std::string& more) const {
    return "UPDATE " + name_ + " SET __op=last_insert_rowid()" + more + " WHERE changes()>0 AND " +
           ThisRow(row) + ";";
  }

  // Whether the row refers to another row than `before` did.
  std::string NewReference(const std::string& before) const {
    if (table_.relations.empty()) return "0";
    std::vector<std::string> refers;
    for (const std::string& column : table_.relations) {
      const std::string quoted = QuoteName(column);
      refers.push_back("(NEW." + quoted + " IS NOT NULL AND NEW." + quoted + " IS NOT " + before +
                       "." + quoted + ")");
    }
    return Join(refers, 0, refers.size(), " OR ");
  }

  // INSERT OR REPLACE removes the old row before any other trigger can see it.
  Trigger Replace() const {
    std::string when = "EXISTS(SELECT 1 FROM " + name_ + " WHERE id=NEW.id)";
    std::string body;
    if (!table_.row_key.empty()) {
      const std::string other = "NEW." + table_.row_key + " IS NOT -1 AND EXISTS(SELECT 1 FROM " +
                                name_ + " WHERE " + table_.row_key + "=NEW." + table_.row_key +
                                " AND id IS NOT NEW.id)";
      when += " OR (" + other + ")";
      body = "SELECT RAISE(ABORT,'holdfast: that rowid belongs to another synced row') WHERE " +
             other + ";";
    }
    // Kept small, as InsertOther() says. What a reference changes can be seen from here only.
    if (table_.relations.empty()) {
      body += "UPDATE __tracking SET applying=3 WHERE id=1;UPDATE " + name_ +
              " SET id=id WHERE id=NEW.id;UPDATE __tracking SET applying=0 WHERE id=1;";
    } else {
      body += "DELETE FROM __shadows WHERE " + ShadowKey("NEW") + ";" + kIntoShadows + "SELECT " +
              text_ + ",id,__op,version,createdAt,updatedAt," + ContentExpression(table_, name_) +
              "," + NewReference(name_) + " FROM " + name_ + " WHERE id=NEW.id;";
    }
    return Make("replace", "BEFORE INSERT", when, body);
  }
  // NEW is the row that is about to be replaced.
  Trigger CaptureReplaced() const {
    return Make(
        "capture_replaced", "AFTER UPDATE OF id", "(SELECT applying FROM __tracking WHERE id=1)=3",
        "DELETE FROM __shadows WHERE " + ShadowKey("NEW") + ";" + kIntoShadows + "VALUES(" + text_ +
            ",NEW.id,NEW.__op,NEW.version,NEW.createdAt,NEW.updatedAt," + new_content_ + ",0);");
  }

  // A new row as it should be; 63 characters are less than limits::kIdBytes in any case.
  std::string Plain() const {
    return "typeof(NEW.id)='text' AND length(NEW.id) BETWEEN 1 AND 63 AND coalesce(NEW.createdAt,"
           "NEW.updatedAt,NEW.version,NEW.deleted,NEW.__op) IS NULL AND NOT EXISTS(SELECT 1 FROM "
           "__shadows WHERE " +
           ShadowKey("NEW") + ")";
  }
  Trigger Insert() const {
    return Make("insert", "AFTER INSERT", Plain(),
                "INSERT INTO __operations(sequence,tableName,itemId,kind,state,changes,attempts,"
                "queuedAt) VALUES(" +
                    kNext + "," + text_ + ",NEW.id,0,0,1,0," + kNow + ");UPDATE " + name_ +
                    " SET __op=last_insert_rowid() WHERE " + ThisRow("NEW") + ";");
  }

  // All other inserts: without id, with values for system columns, of an id that was deleted or
  // replaced. A shadow with content is a row that was replaced; one without is a queued delete.
  //
  // SQLite makes room for all of a trigger's body before it looks at WHEN, at each insert. So the
  // body is where plain inserts never come: behind an update of the id that changes nothing.
  Trigger InsertOther() const {
    return Make("insert_other", "AFTER INSERT", "(" + Plain() + ") IS NOT 1",
                "UPDATE __tracking SET applying=2 WHERE id=1;UPDATE " + name_ +
                    " SET id=id WHERE " + ThisRow("NEW") +
                    ";UPDATE __tracking SET applying=0 WHERE id=1;");
  }
  Trigger SettleInsert() const {
    const std::string no_system = ",createdAt=NULL,updatedAt=NULL,version=NULL,deleted=NULL";
    const std::string from_shadow = " FROM __shadows s WHERE " + ShadowKey("NEW", "s.");
    const std::string system_of_shadow = ",createdAt=" + Shadow("createdAt", "") +
                                         ",updatedAt=" + Shadow("updatedAt", "") +
                                         ",version=" + Shadow("version", "") + ",deleted=NULL";
    const std::string changed = " AND content<>" + new_content_;
    const std::string replaced_op = Shadow("op", changed);
    const std::string delete_join = " FROM __shadows s JOIN __operations d ON " +
                                    OperationIs("s.op", "NEW", "d.") + " AND d.kind=2 WHERE " +
                                    ShadowKey("NEW", "s.") + " AND s.content IS NULL";
    const std::string take_back = "(state=0 OR (state=2 AND replaced IS 0))";

    std::string body =
        "SELECT RAISE(ABORT,'holdfast: the id of a synced row is text of 1 to 255 bytes') WHERE "
        "NEW.id IS NOT NULL AND (typeof(NEW.id)<>'text' OR length(CAST(NEW.id AS BLOB)) NOT "
        "BETWEEN "
        "1 AND 255);"
        "UPDATE __tracking SET applying=1 WHERE id=1;";
    if (!table_.row_key.empty()) {
      body += Queue("(SELECT value FROM __config WHERE id='idPrefix')||'-'||printf('%08x'," +
                        kNext + "),0,0,1,0," + kNow + ",NULL,NULL,NULL,NULL,NULL,NULL",
                    "WHERE NEW.id IS NULL");
      body += TakeQueued("NEW",
                         ",id=(SELECT itemId FROM __operations WHERE sequence="
                         "last_insert_rowid())" +
                             no_system);
    }
    // The replaced row has an operation: merge, as an update would.
    if (!table_.relations.empty()) {
      body += "UPDATE __operations SET item=" + Shadow("content", "") + " WHERE " +
              OperationIs(Shadow("op", changed + " AND refers"), "NEW") +
              " AND kind<2 AND state<>2 AND item IS NULL AND sequence<(SELECT max(sequence) FROM "
              "__operations);";
      body += Queue("NEW.id,1,0,1,0," + kNow + ",NULL,s.content,NULL,s.op,NULL,NULL",
                    from_shadow + " AND changes()>0");
      body += "UPDATE __shadows SET op=last_insert_rowid() WHERE changes()>0 AND " +
              ShadowKey("NEW") + ";";
    }
    body +=
        "UPDATE __operations SET " + kEdited + " WHERE " + OperationIs(replaced_op, "NEW") + ";";
    body += DropErrors(replaced_op, "NEW");
    // The replaced row has none: the new one is an update of it.
    body += Queue("NEW.id,1,0,1,0," + kNow + ",s.version,s.content,NULL,NULL,NULL,NULL",
                  from_shadow + " AND s.content<>" + new_content_ +
                      " AND NOT EXISTS(SELECT 1 FROM __operations WHERE " +
                      OperationIs("s.op", "NEW") + ")");
    body += "UPDATE __shadows SET op=last_insert_rowid() WHERE changes()>0 AND " +
            ShadowKey("NEW") + ";";
    body += "UPDATE " + name_ + " SET __op=(SELECT sequence FROM __operations WHERE " +
            OperationIs(Shadow("op", ""), "NEW") + ")" + system_of_shadow + " WHERE " +
            ThisRow("NEW") + " AND EXISTS(SELECT 1 FROM __shadows WHERE " + ShadowKey("NEW") +
            " AND content IS NOT NULL);";
    // The delete of this id never left: it becomes a write of the whole row.
    body += Queue(
        "NEW.id,CASE WHEN d.replaced IS 0 THEN 0 ELSE 1 END,CASE WHEN d.replaced IS 0 OR d.sent IS "
        "NOT NULL THEN "
        "1 ELSE 0 END,d.changes+1,d.attempts," +
            kNow +
            ",CASE WHEN d.replaced IS 0 THEN NULL ELSE d.baseVersion END,CASE d.replaced WHEN 1 "
            "THEN "
            "d.base END,NULL,d.previous,NULL,d.sent",
        delete_join + " AND (d.state=0 OR (d.state=2 AND d.replaced IS 0))");
    body += TakeQueued("NEW", system_of_shadow);
    const std::string taken_back = Shadow("op", " AND content IS NULL");
    body += DropErrors(taken_back, "NEW",
                       " AND EXISTS(SELECT 1 FROM __operations WHERE " +
                           OperationIs(taken_back, "NEW") + " AND kind=2 AND " + take_back + ")");
    body += "DELETE FROM __operations WHERE " + OperationIs(taken_back, "NEW") +
            " AND kind=2 AND " + take_back + ";";
    // The delete may have left: the new row waits for its outcome.
    body += Queue("NEW.id,0,0,1,0," + kNow + ",NULL,NULL,NULL,s.op,NULL,NULL", delete_join);
    body += TakeQueued("NEW", no_system);
    // A new row after all.
    body += Queue("NEW.id,0,0,1,0," + kNow + ",NULL,NULL,NULL,NULL,NULL,NULL",
                  "WHERE NEW.id IS NOT NULL AND NOT EXISTS(SELECT 1 FROM __shadows WHERE " +
                      ShadowKey("NEW") + " AND content IS NOT NULL) AND NOT EXISTS(SELECT 1 FROM " +
                      name_ +
                      " r JOIN __operations o ON o.sequence=r.__op AND o.itemId=r.id AND "
                      "o.tableName=" +
                      text_ + " WHERE r.id=NEW.id)");
    body += TakeQueued("NEW", no_system);
    // The shadow stays, used up: it keeps the other trigger quiet, whichever of them comes first.
    body +=
        "UPDATE __shadows SET op=NULL,content=ifnull(content,'') WHERE " + ShadowKey("NEW") + ";";
    body += "UPDATE __tracking SET applying=0 WHERE id=1;";
    return Make("settle_insert", "AFTER UPDATE OF id",
                "(SELECT applying FROM __tracking WHERE id=1)=2", body);
  }

  Trigger Identity() const {
    std::string event = "BEFORE UPDATE OF id";
    std::string when = "(OLD.id IS NOT NULL AND NEW.id IS NOT OLD.id)";
    if (!table_.row_key.empty()) {
      event += ",rowid,_rowid_,oid";
      if (!table_.integer_key.empty()) event += "," + QuoteName(table_.integer_key);
      const std::string key = table_.row_key;
      when += " OR (NEW." + key + " IS NOT OLD." + key + " AND EXISTS(SELECT 1 FROM " + name_ +
              " WHERE " + key + "=NEW." + key + "))";
    }
    return Make("identity", event, when,
                "SELECT RAISE(ABORT,'holdfast: the id of a synced row cannot change; insert a new "
                "row and delete this one');");
  }

  // System columns belong to the server: what a program writes there is undone.
  Trigger System() const {
    return Make("system", "AFTER UPDATE OF createdAt,updatedAt,version,deleted",
                "(NEW.createdAt IS NOT OLD.createdAt OR NEW.updatedAt IS NOT OLD.updatedAt OR "
                "NEW.version IS NOT OLD.version OR NEW.deleted IS NOT OLD.deleted) AND (SELECT "
                "applying FROM __tracking WHERE id=1)=0",
                "UPDATE __tracking SET applying=1 WHERE id=1;UPDATE " + name_ +
                    " SET createdAt=OLD.createdAt,updatedAt=OLD.updatedAt,version=OLD.version,"
                    "deleted=OLD.deleted WHERE " +
                    ThisRow("NEW") + ";UPDATE __tracking SET applying=0 WHERE id=1;");
  }

  Trigger Update() const {
    std::vector<std::string> differ;
    std::string event = "AFTER UPDATE OF ";
    for (const std::string& column : table_.columns) {
      const std::string quoted = QuoteName(column);
      differ.push_back("NEW." + quoted + " IS NOT OLD." + quoted);
      if (differ.size() > 1) event += ",";
      event += quoted;
    }
    differ.push_back("NEW.__op IS NOT OLD.__op");
    const std::string operation = OperationIs("OLD.__op", "OLD");
    std::string body;
    if (!table_.relations.empty()) {
      // A new reference must not travel at the place of the old content: what it refers to may have
      // been queued in between.
      body += "UPDATE __operations SET item=" + old_content_ + " WHERE " + operation +
              " AND kind<2 AND state<>2 AND item IS NULL AND sequence<(SELECT max(sequence) FROM "
              "__operations) AND " +
              NewReference("OLD") + ";";
      body += Queue("OLD.id,1,0,1,0," + kNow + ",NULL," + old_content_ + ",NULL,OLD.__op,NULL,NULL",
                    "WHERE changes()>0");
      body += TakeQueued("NEW", "");
    }
    body += "UPDATE __operations SET " + kEdited + " WHERE " + operation + " AND item IS NULL;";
    body += DropErrors(
        "OLD.__op", "OLD",
        " AND EXISTS(SELECT 1 FROM __operations WHERE " + operation + " AND item IS NULL)");
    body +=
        Queue("OLD.id,1,0,1,0," + kNow + ",OLD.version," + old_content_ + ",NULL,NULL,NULL,NULL",
              "WHERE NOT EXISTS(SELECT 1 FROM __operations WHERE " + operation + ")");
    body += TakeQueued("NEW", "");
    // A program that writes rows back as it read them writes an old __op.
    body += "UPDATE " + name_ + " SET __op=OLD.__op WHERE " + ThisRow("NEW") +
            " AND NEW.__op IS NOT OLD.__op AND EXISTS(SELECT 1 FROM __operations WHERE " +
            operation + " AND item IS NULL);";
    return Make("update", event, Join(differ, 0, differ.size(), " OR "), body);
  }

  Trigger Delete() const {
    const std::string operation = OperationIs("OLD.__op", "OLD");
    const std::string from_operation =
        " FROM __operations o WHERE " + OperationIs("OLD.__op", "OLD", "o.");
    const std::string never_left = "(o.kind=0 AND o.state=0)";
    const std::string conflict =
        "EXISTS(SELECT 1 FROM __errors WHERE id=OLD.__op AND kind=0 AND tableName=" + text_ +
        " AND itemId=OLD.id)";
    const auto add_shadow = [this](const std::string& operation_text, const std::string& tail) {
      return "INSERT INTO __shadows(tableName,itemId,op,version,createdAt,updatedAt) SELECT " +
             text_ + ",OLD.id," + operation_text + ",OLD.version,OLD.createdAt,OLD.updatedAt " +
             tail + ";";
    };
    std::string body = "DELETE FROM __shadows WHERE " + ShadowKey("OLD") + ";";
    // The row has an operation that may have left: a delete takes its place, at the end.
    body +=
        Queue("OLD.id,2,CASE WHEN o.kind=0 AND o.state=2 AND " + conflict +
                  " THEN 2 ELSE 0 END,o.changes+1,o.attempts," + kNow +
                  ",CASE WHEN o.kind=1 THEN o.baseVersion END,CASE WHEN o.kind=1 THEN o.base END," +
                  old_content_ + ",o.previous,o.kind,o.sent",
              from_operation + " AND NOT " + never_left);
    body += add_shadow("last_insert_rowid()", "WHERE changes()>0");
    body +=
        "UPDATE __errors SET id=last_insert_rowid(),operationKind=2 WHERE changes()>0 AND "
        "id=OLD.__op AND kind=0 AND EXISTS(SELECT 1 FROM __operations o WHERE " +
        OperationIs("OLD.__op", "OLD", "o.") + " AND o.kind=0 AND o.state=2);";
    body += DropErrors("OLD.__op", "OLD");
    // An insert that never left vanishes; a delete before it comes to light again.
    body += add_shadow("o.previous",
                       "FROM __operations o JOIN __operations p ON p.sequence="
                       "o.previous AND p.kind=2 WHERE " +
                           OperationIs("OLD.__op", "OLD", "o.") + " AND " + never_left);
    // A row without operation.
    body +=
        Queue("OLD.id,2,0,1,0," + kNow + ",OLD.version,NULL," + old_content_ + ",NULL,NULL,NULL",
              "WHERE NOT EXISTS(SELECT 1 FROM __operations WHERE " + operation + ")");
    body += add_shadow("last_insert_rowid()", "WHERE changes()>0");
    body += "DELETE FROM __operations WHERE " + operation + ";";
    return Make("delete", "AFTER DELETE", "OLD.id IS NOT NULL", body);
  }

  const TriggerTable& table_;
  const std::string name_, text_;
  const std::string new_content_, old_content_;
};

}  // namespace

std::string ContentExpression(const TriggerTable& table, const std::string& row) {
  if (table.columns.empty()) return "''";
  std::vector<std::string> parts;
  for (const std::string& column : table.columns) {
    const std::string quoted = QuoteName(column);
    parts.push_back(QuoteText((parts.empty() ? "" : ",") + quoted + "=") + "||quote(" + row + "." +
                    quoted + ")");
  }
  return Join(parts, 0, parts.size(), "||");
}

std::vector<Trigger> TriggersOf(const TriggerTable& table) { return Generator(table).All(); }

}  // namespace holdfast::store
